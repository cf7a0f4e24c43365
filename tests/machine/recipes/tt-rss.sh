# Sets Tiny Tiny RSS up behind nginx, with MariaDB, feeds of another host and Debian's mailer. A day of it subscribes to feeds by hand
# and by OPML, reads them in pages and by its job, searches, exports, asks the API, and sends mail; what each day uses has its name.
set -eu
day=$1
site=http://news.example
ask() { # WANTED ARGUMENTS...
	wanted=$1; shift
	answer=$(curl -sSL -c /root/jar -b /root/jar --max-time 60 -o /root/answer -w '%{http_code}' "$@")
	[ "$answer" = 200 ] && grep -aq "$wanted" /root/answer || { echo "$*: $answer without $wanted" >&2; sed "s/<[^>]*>//g" /root/answer | tail -n 20 >&2; exit 1; }
}
rpc() { wanted=$1; shift; ask "$wanted" "$site/backend.php" -d "csrf_token=$token" "$@"; }
sql() { mysql -N ttrss -e "$1"; }
if [ "$day" = setup ]; then
	echo "192.88.1.10 news.example feeds.example" >> /etc/hosts
	postconf -e "mydestination = localhost, news.example"
	systemctl restart postfix
	mysql -e "create database ttrss; create user ttrss@localhost identified by 'db'; grant all on ttrss.* to ttrss@localhost"
	mysql ttrss < /usr/share/tt-rss/schema/ttrss_schema_mysql.sql
	cat > /etc/tt-rss/database.php <<'P'
<?php
$dbuser = 'ttrss'; $dbpass = 'db'; $dbname = 'ttrss'; $dbserver = 'localhost'; $dbport = ''; $dbtype = 'mysql';
P
	sed -i "s#^\(.*'SELF_URL_PATH', \)'.*'#\1'http://news.example/'#; s#user@your.domain.dom#root@news.example#; s#noreply@your.domain.dom#news@news.example#" /etc/tt-rss/config.php
	cat > /etc/nginx/sites-enabled/news <<'P'
server {
	listen 80; server_name news.example; root /usr/share/tt-rss/www; index index.php;
	location ~ \.php$ { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php-fpm.sock; }
}
server { listen 80; server_name feeds.example; root /srv/feeds; }
P
	# What it warns of is longer than nginx takes in an answer's head.
	echo 'php_admin_flag[log_errors] = off' >> /etc/php/*/fpm/pool.d/www.conf
	systemctl restart nginx "php*-fpm.service"
	sql "update ttrss_users set email = 'root@news.example' where login = 'admin'"
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
ask login "$site/"
ask __csrf_token "$site/public.php" -d 'op=login&login=admin&password=password'
token=$(sed -n 's/.*__csrf_token = "\([^"]*\)".*/\1/p' /root/answer)
rpc '"error":{"code":0' -d op=rpc -d method=sanityCheck -d hasAudio=true
# A page whose feed is found.
rpc '"code":1' -d op=rpc -d method=addfeed -d cat=0 --data-urlencode "feed=http://feeds.example/typed-$day.html"
echo "<?xml version='1.0'?><opml version='1.0'><body><outline text='$day'><outline type='rss' text='listed of $day' xmlUrl='http://feeds.example/listed-$day.xml'/></outline></body></opml>" > /root/list.opml
ask "listed of $day" "$site/backend.php" -F "csrf_token=$token" -F op=dlg -F method=importOpml -F "opml_file=@/root/list.opml"
ask "listed-$day.xml" "$site/backend.php?op=opml&method=export&include_settings=1"
ask UPDATE_COUNTERS "$site/public.php?op=globalUpdateFeeds"
# As its service does.
sql "update ttrss_feeds set last_updated = null, last_update_started = null"
sed -i "s#</channel>#<item><title>Later in $day</title><link>http://feeds.example/$day-2</link><guid>$day-2</guid><description>More</description></item>&#" "/srv/feeds/typed-$day.xml"
# A change is known by its second.
touch -d '+1 minute' "/srv/feeds/typed-$day.xml"
runuser -u www-data -- /usr/share/tt-rss/www/update.php --feeds --quiet
for feed in $(sql "select id from ttrss_feeds where feed_url like '%-$day.xml'"); do
	rpc "of $day" -d op=feeds -d method=view -d "feed=$feed" -d view_mode=all_articles -d order_by=default -d m= -d cat=false
	ask PNG "$site/feed-icons/$feed.ico"
done
rpc "Later in $day" -d op=feeds -d method=view -d feed=-4 -d view_mode=all_articles -d order_by=default -d cat=false --data-urlencode "query=Later $day"
rpc UPDATE_COUNTERS -d op=rpc -d method=mark -d mark=1 -d "id=$(sql "select max(ref_id) from ttrss_user_entries")"
ask 'prefs.js\|__csrf_token' "$site/prefs.php"
rpc '' -d op=pref-prefs
rpc '' -d op=rpc -d method=checkforupdates
sql "update ttrss_user_prefs set value = 'true' where pref_name = 'ENABLE_API_ACCESS'"
ask session_id "$site/api/" -H 'Content-Type: application/json' -d '{"op":"login","user":"admin","password":"password"}'
session=$(sed 's/.*"session_id":"\([^"]*\)".*/\1/' /root/answer)
ask "typed of $day" "$site/api/" -d "{\"sid\":\"$session\",\"op\":\"getFeeds\",\"cat_id\":-4}"
ask "Later in $day" "$site/api/" -d "{\"sid\":\"$session\",\"op\":\"getHeadlines\",\"feed_id\":-4,\"show_content\":true}"
rm -f /root/jar
ask 'How much is' "$site/public.php?op=forgotpass"
sum=$(($(sed -n 's/.*How much is \([0-9]* + [0-9]*\):.*/\1/p' /root/answer)))
ask 'being sent' "$site/public.php" -d "op=forgotpass&method=do&login=admin&email=root@news.example&test=$sum"
echo "$day" >> /root/days
timeout 30 sh -c 'until [ "$(grep -c "Subject:.*Password reset" /var/mail/root 2>/dev/null)" = "$(wc -l < /root/days)" ]; do sleep 0.1; done' || { echo "no mail" >&2; exit 1; }
echo "the day of $day is done"
