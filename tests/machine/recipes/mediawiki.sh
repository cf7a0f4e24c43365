# Sets MediaWiki up behind nginx with SQLite, diff3, ImageMagick and Debian's mailer. A day of it edits a page, merges two edits of
# it, compares them, uploads an image, shows it smaller, and sends mail.
set -eu
day=$1
site=http://media.example
ask() { # WANTED ARGUMENTS...
	wanted=$1; shift
	answer=$(curl -sSL -c "$jar" -b "$jar" --max-time 60 -o /root/answer -w '%{http_code}' "$@")
	[ "$answer" = 200 ] && grep -aq "$wanted" /root/answer || { echo "$*: $answer without $wanted" >&2; sed "s/<[^>]*>//g" /root/answer | tail -n 20 >&2; exit 1; }
}
token() { # KIND
	ask token "$site/api.php?action=query&meta=tokens&format=json&type=$1"
	token=$(php -r 'echo array_values(json_decode(file_get_contents("/root/answer"), true)["query"]["tokens"])[0];')
}
edit() { # ARGUMENTS...
	token csrf
	ask '"result":"Success"' "$site/api.php?action=edit&format=json" --data-urlencode "token=$token" -d "title=${page}_$day" "$@"
}
if [ "$day" = setup ]; then
	echo "192.88.1.10 media.example" >> /etc/hosts
	install -d -o www-data /var/lib/mediawiki-data
	cd /var/lib/mediawiki
	php maintenance/install.php --dbtype sqlite --dbpath /var/lib/mediawiki-data --dbname wiki --server "$site" --scriptpath '' \
		--confpath /etc/mediawiki --pass Aa1aaaaaaaaaaa Wiki Admin > /dev/null
	cat >> /etc/mediawiki/LocalSettings.php <<'P'
$wgEnableUploads = true; $wgUseImageMagick = true; $wgImageMagickConvertCommand = '/usr/bin/convert'; $wgDiff3 = '/usr/bin/diff3';
$wgEnableEmail = true; $wgPasswordSender = 'wiki@media.example'; $wgJobRunRate = 1;
$wgMaxShellMemory = $wgMaxShellFileSize = $wgMaxShellTime = $wgMaxShellWallClockTime = 0;
$wgPasswordReminderResendTime = 0; $wgRateLimits = [];
P
	php maintenance/resetUserEmail.php --no-reset-password Admin root@media.example > /dev/null
	chown -R www-data /var/lib/mediawiki-data
	cat > /etc/nginx/sites-enabled/media <<'P'
server {
	listen 80; server_name media.example; root /var/lib/mediawiki; index index.php; client_max_body_size 8m;
	location / { try_files $uri $uri/ /index.php?$args; }
	location ~ \.php$ { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php-fpm.sock; }
}
P
	systemctl restart nginx
	exit
fi
jar=/root/jar
rm -f /root/jar /root/other-jar
token login
ask Success "$site/api.php?action=login&format=json" --data-urlencode "lgtoken=$token" -d 'lgname=Admin&lgpassword=Aa1aaaaaaaaaaa'
for page in One Two; do
	edit --data-urlencode "text=first of $day

middle

last of $day"
	base=$(php -r 'echo json_decode(file_get_contents("/root/answer"), true)["edit"]["newrevid"];')
	# Somebody else changes the end, and then the one who began before that changes the beginning.
	jar=/root/other-jar
	edit -d "baserevid=$base" --data-urlencode "text=first of $day

middle

end of $day"
	jar=/root/jar
	edit -d "baserevid=$base" --data-urlencode "text=beginning of $day

middle

last of $day"
	new=$(php -r 'echo json_decode(file_get_contents("/root/answer"), true)["edit"]["newrevid"];')
	ask "beginning of $day" "$site/index.php?title=${page}_$day"
	grep -q "end of $day" /root/answer
	ask "end" "$site/index.php?title=${page}_$day&diff=$new&oldid=$base"
done
ask "${page}_$day" "$site/index.php?title=Special:RecentChanges"
for image in holiday.png portrait.jpg garden.jpg; do
	image=${image%.*}-$day.${image#*.}
	convert -size 640x480 "xc:#$(printf '%s' "$image" | md5sum | cut -c1-6)" "/root/$image"
	token csrf
	ask '"result":"Success"' "$site/api.php?action=upload&format=json&ignorewarnings=1" -F "token=$token" -F "filename=$image" -F "file=@/root/$image"
	for width in 120 200; do
		edit --data-urlencode "appendtext= [[File:$image|${width}px]]"
		ask "${width}px-" "$site/index.php?title=${page}_$day"
		path=$(grep -oi "/images/thumb/[^\" ]*/${width}px-$image" /root/answer | head -n 1)
		ask '' "$site$path"
		[ "$(identify -format %w /root/answer)" = "$width" ]
	done
done
token csrf
ask success "$site/api.php?action=resetpassword&format=json" --data-urlencode "token=$token" -d user=Admin
echo "the day of $day is done"
