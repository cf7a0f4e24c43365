# Sets FreshRSS up behind nginx, with SQLite, feeds of another host and Debian's mailer, from /sources/freshrss.tar. A day of it subscribes
# to feeds by hand and by OPML, reads them in pages and by its job, searches, exports, asks the API, and sends mail to a new reader.
set -eu
day=$1
site=http://reader.example
ask() { # WANTED ARGUMENTS...
	wanted=$1; shift
	answer=$(curl -sSL -c /root/jar -b /root/jar --max-time 60 -o /root/answer -w '%{http_code}' "$@")
	[ "$answer" = 200 ] && grep -aq "$wanted" /root/answer || { echo "$*: $answer without $wanted" >&2; sed "s/<[^>]*>//g" /root/answer | tail -n 20 >&2; exit 1; }
}
send() { wanted=$1; shift; ask "$wanted" --data-urlencode "_csrf=$token" "$@"; }
json() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" /root/answer | sed 's#\\/#/#g'; }
if [ "$day" = setup ]; then
	echo "192.88.1.10 reader.example feeds.example" >> /etc/hosts
	postconf -e "mydestination = localhost, reader.example" luser_relay=root@reader.example local_recipient_maps=
	systemctl restart postfix
	tar -C /usr/share -xf /sources/freshrss.tar
	cd /usr/share/FreshRSS
	cli/prepare.php > /root/installed
	# A new reader's feeds: none.
	echo '<opml version="2.0"><body><outline text="Own"/></body></opml>' > data/opml.xml
	cli/do-install.php --default-user admin --base-url "$site/" --api-enabled --db-type sqlite >> /root/installed
	cli/create-user.php --user admin --password Aa1aaaaaaaaaaa --api-password Aa1aaaaaaaaaaa --email root@reader.example >> /root/installed
	sed -i "s/^ *'default_user'/'force_email_validation' => true, 'smtp' => ['from' => 'reader@reader.example'],\n&/" data/config.php
	# The server writes data and no code.
	chown -R root:www-data . && chmod -R g=rX . && chmod -R g+w data
	cat > /etc/nginx/sites-enabled/reader <<'P'
server {
	listen 80; server_name reader.example; root /usr/share/FreshRSS/p; index index.php index.html;
	location ~ \.php(/|$) { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php-fpm.sock; }
}
server { listen 80; listen 192.88.1.10:8765; server_name feeds.example; root /srv/feeds; }
P
	systemctl restart nginx
	exit
fi
mkdir -p /srv/feeds
for feed in typed listed; do
	cat > "/srv/feeds/$feed-$day.xml" <<P
<?xml version="1.0"?><rss version="2.0"><channel><title>$feed of $day</title><link>http://feeds.example/$feed-$day.html</link><description>News</description>
<item><title>Headline of $feed of $day</title><link>http://feeds.example/$feed-$day.html?1</link><guid>$feed-$day-1</guid><description>Text of $day</description></item></channel></rss>
P
	echo "<html><head><link rel='icon' href='/$feed-$day.png'><link rel='alternate' type='application/rss+xml' href='/$feed-$day.xml'></head></html>" > "/srv/feeds/$feed-$day.html"
	convert -size 16x16 "xc:#$(printf '%s' "$feed$day" | md5sum | cut -c1-6)" "/srv/feeds/$feed-$day.png"
done
rm -f /root/jar
ask passwordPlain "$site/i/?c=auth&a=login"
token=$(sed -n 's/.*name="_csrf" value="\([^"]*\)".*/\1/p' /root/answer | head -n 1)
ask nonce "$site/i/?c=javascript&a=nonce&user=admin"
# As the page's script does.
challenge=$(php -r 'echo crypt($argv[2] . crypt("Aa1aaaaaaaaaaa", $argv[1]), "\$2a\$04\$abcdefghijklmnopqrstuu");' "$(json salt1)" "$(json nonce)")
send 'a=logout' "$site/i/?c=auth&a=login" -d username=admin --data-urlencode "challenge=$challenge"
token=$(sed -n 's/.*name="_csrf" value="\([^"]*\)".*/\1/p' /root/answer | head -n 1)
# A page whose feed is found, and a feed at an uncommon port.
send "typed of $day" "$site/i/?c=feed&a=add" -d category=1 --data-urlencode "url_rss=http://feeds.example/typed-$day.html"
echo "<?xml version='1.0'?><opml version='2.0'><body><outline text='$day'><outline type='rss' text='listed of $day' xmlUrl='http://feeds.example:8765/listed-$day.xml'/></outline></body></opml>" > /root/list.opml
ask '' "$site/i/?c=importExport&a=import" -F "_csrf=$token" -F "file=@/root/list.opml"
send "listed-$day.xml" "$site/i/?c=importExport&a=export" -d export_opml=1
ask "listed of $day" "$site/i/?c=subscription"
list=$(sed -n 's#.*c=feed&amp;id=\([0-9]*\).*#\1#p; s#.*a=feed&amp;id=\([0-9]*\).*#\1#p' /root/answer | sort -un)
[ -n "$list" ]
for feed in $list; do
	send '' "$site/i/?c=feed&a=actualize&id=$feed"
done
ask "Headline of listed of $day" "$site/i/?get=a&state=3"
sed -i "s#</channel>#<item><title>Later in $day</title><link>http://feeds.example/$day-2</link><guid>$day-2</guid><description>More</description></item>&#" "/srv/feeds/typed-$day.xml"
touch -d '+1 minute' "/srv/feeds/typed-$day.xml"
# As its job does, an hour later.
runuser -u www-data -- sqlite3 /usr/share/FreshRSS/data/users/admin/db.sqlite "update feed set lastUpdate = 1"
rm -f /usr/share/FreshRSS/data/cache/*.spc
runuser -u www-data -- /usr/share/FreshRSS/app/actualize_script.php > /root/actualized
ask "Later in $day" "$site/i/?get=a&state=3&search=Later+$day"
for icon in $(grep -o 'f\.php?[0-9a-f]*' /root/answer | sort -u); do
	ask PNG "$site/$icon"
done
entry=$(sed -n 's/.*id="flux_\([0-9]*\)".*/\1/p' /root/answer | head -n 1)
send '' "$site/i/?c=entry&a=read" -d "id[]=$entry&is_read=1&ajax=1"
send '' "$site/i/?c=entry&a=bookmark" -d "id=$entry&is_favorite=1&ajax=1"
ask "Later in $day" "$site/i/?a=rss&get=a&state=3&hours=24"
send PK "$site/i/?c=importExport&a=export" -d 'export_opml=1&export_starred=1'
for page in 'c=configure&a=system' 'c=index&a=about' 'c=index&a=logs' 'c=stats' 'c=extension' 'c=update'; do
	ask 'a=logout' "$site/i/?$page"
done
ask Auth= "$site/api/greader.php/accounts/ClientLogin" -d 'Email=admin&Passwd=Aa1aaaaaaaaaaa'
auth=$(sed -n 's/^Auth=//p' /root/answer)
ask "Later in $day" "$site/api/greader.php/reader/api/0/stream/contents/reading-list?n=50" -H "Authorization: GoogleLogin auth=$auth"
send "reader$day" "$site/i/?c=user&a=create" -d "new_user_name=reader$day&new_user_email=reader$day@reader.example&new_user_passwordPlain=Aa1aaaaaaaaaaa&originController=user&originAction=manage"
timeout 30 sh -c "until grep -qs 'To: reader$day@reader.example' /var/mail/root; do sleep 0.1; done" || { echo "no mail" >&2; exit 1; }
echo "the day of $day is done"
