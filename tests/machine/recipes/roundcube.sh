# Sets Roundcube up behind nginx with Dovecot as its mail server at an outside address, and reads mail with it.
set -eu
if [ "$1" = setup ]; then
	echo "127.0.0.1 webmail.example" >> /etc/hosts
	echo "192.88.1.10 mail.example" >> /etc/hosts
	useradd -m bob && echo bob:Aa1aaaaaaaaaaa | chpasswd
	sqlite3 /var/lib/roundcube/mail.db < /usr/share/roundcube/SQL/sqlite.initial.sql
	chown -R www-data /var/lib/roundcube/mail.db && chmod 777 /var/lib/roundcube
	cat > /etc/roundcube/config.inc.php <<'P'
<?php
$config = ['db_dsnw' => 'sqlite:////var/lib/roundcube/mail.db', 'imap_host' => 'mail.example:143', 'smtp_host' => 'mail.example:587',
    'des_key' => 'abcdefghijklmnopqrstuvwx', 'plugins' => [], 'skin' => 'elastic'];
P
	cat > /etc/nginx/sites-enabled/webmail <<'P'
server {
	listen 80; server_name webmail.example; root /var/lib/roundcube/public_html; index index.php;
	location ~ \.php$ { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php-fpm.sock; }
}
P
	systemctl restart nginx
fi
rm -f /root/jar
ask() { curl -sS -c /root/jar -b /root/jar --max-time 60 "$@"; }
token=$(ask http://webmail.example/index.php | grep -o 'name="_token" value="[^"]*' | cut -d'"' -f4)
to=$(ask -o /dev/null -w '%{redirect_url}' http://webmail.example/index.php?_task=login -d "_task=login&_action=login&_timezone=UTC&_user=bob&_pass=Aa1aaaaaaaaaaa&_token=$token")
case $to in *_task=mail*) ;; *) echo "not logged in: $to" >&2; tail -n 5 /var/lib/roundcube/logs/* >&2; exit 1 ;; esac
ask "$to" | grep -q 'INBOX'
