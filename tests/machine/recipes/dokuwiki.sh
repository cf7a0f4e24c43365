# Sets DokuWiki up behind nginx, with ImageMagick, a feed of another host and Debian's mailer. A day of it edits pages, compares
# them, uploads an image, shows it smaller, reads the feed, and sends mail; what each day uses has the day's name.
set -eu
day=$1
site=http://wiki.example
ask() { # EXPECTED ARGUMENTS...
	expected=$1; shift
	answer=$(curl -sS -c /root/jar -b /root/jar --max-time 60 -o /root/answer -w '%{http_code}' "$@")
	[ "$answer" = "$expected" ] || { echo "$*: $answer instead of $expected" >&2; sed "s/<[^>]*>//g" /root/answer | tail -n 5 >&2; exit 1; }
}
token() { sed -n 's/.*name="sectok" value="\([^"]*\)".*/\1/p' /root/answer | head -n 1; }
if [ "$day" = setup ]; then
	echo "192.88.1.10 wiki.example feeds.example" >> /etc/hosts
	cat >> /etc/dokuwiki/local.php <<'P'
$conf['im_convert'] = '/usr/bin/convert'; $conf['mailfrom'] = 'wiki@wiki.example'; $conf['superuser'] = 'admin';
$conf['basedir'] = '/'; $conf['gdlib'] = 0; $conf['subscribers'] = 1; $conf['notify'] = 'root@localhost';
P
	hash=$(php -r 'echo password_hash("Aa1aaaaaaaaaaa", PASSWORD_BCRYPT);')
	mkdir -p /var/lib/dokuwiki/acl
	printf 'admin:%s:Admin:root@localhost:admin,user\n' "$hash" > /var/lib/dokuwiki/acl/users.auth.php
	printf '*\t@ALL\t8\n' > /var/lib/dokuwiki/acl/acl.auth.php
	chown -R www-data /var/lib/dokuwiki/acl
	cat > /etc/nginx/sites-enabled/wiki <<'P'
server {
	listen 80; server_name wiki.example; root /usr/share/dokuwiki; index doku.php; client_max_body_size 8m;
	location / { try_files $uri $uri/ /doku.php?id=$uri; }
	location ~ \.php$ { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php-fpm.sock; }
}
server { listen 192.88.1.10:8765; root /srv/feeds; }
P
	mkdir -p /srv/feeds
	cat > /srv/feeds/news.xml <<'P'
<?xml version="1.0"?><rss version="2.0"><channel><title>News</title><link>http://feeds.example/</link><description>News</description>
<item><title>Headline</title><link>http://feeds.example/1</link><description>Text</description></item></channel></rss>
P
	systemctl restart nginx
	exit
fi
rm -f /root/jar
ask 200 "$site/doku.php?id=start&do=login"
ask 302 "$site/doku.php?id=start&do=login" -d "sectok=$(token)" -d 'do=login&u=admin&p=Aa1aaaaaaaaaaa'
for text in first second; do
	ask 200 "$site/doku.php?id=page_$day&do=edit"
	ask 302 "$site/doku.php" -d "id=page_$day" -d "sectok=$(token)" -d "do[save]=1&prefix=.&suffix=&summary=$text" --data-urlencode "wikitext======= $day ======
{{rss>http://feeds.example:8765/news.xml?$day}}
$text line of $day"
	ask 200 "$site/doku.php?id=page_$day"
	# A revision is known by its second.
	sleep 1
done
grep -q Headline /root/answer
ask 200 "$site/doku.php?id=page_$day&do=diff"
ask 200 "$site/feed.php?mode=recent"
for name in holiday portrait; do
	convert -size 640x480 "plasma:$day-$name" "/root/$name-$day.png" 2> /dev/null || convert -size 640x480 "xc:gray" "/root/$name-$day.png"
	ask 200 "$site/lib/exe/mediamanager.php?ns=&edid=wiki__text"
	ask 200 "$site/lib/exe/mediamanager.php" -F "sectok=$(token)" -F ns= -F "mediaid=$name-$day.png" -F "upload=@/root/$name-$day.png"
	for width in 120 240; do
		ask 200 "$site/doku.php?id=page_$day&do=edit"
		ask 302 "$site/doku.php" -d "id=album_$day" -d "sectok=$(token)" -d "do[save]=1&prefix=.&suffix=" --data-urlencode "wikitext={{:$name-$day.png?$width}}"
		ask 200 "$site/doku.php?id=album_$day"
		path=$(grep -o '/lib/exe/fetch.php?w='"$width"'[^"]*' /root/answer | head -n 1 | sed 's/&amp;/\&/g')
		ask 200 "$site$path"
		[ "$(identify -format %w /root/answer)" = "$width" ]
	done
done
ask 200 "$site/doku.php?id=start&do=profile"
echo "the day of $day is done"
