# Sets WordPress up behind nginx, and uses it as an editor, a reader and an administrator do. Ends with an error at the first
# answer that is not as it is to be.
set -eu
use=$1
ask() { # EXPECTED ARGUMENTS...
	expected=$1; shift
	answer=$(curl -sS -c /root/jar -b /root/jar --max-time 60 -o /root/answer -w '%{http_code}' "$@")
	[ "$answer" = "$expected" ] || { echo "$*: $answer instead of $expected" >&2; sed "s/<style.*//; s/<[^>]*>//g" /root/answer | tail -n 5 >&2; exit 1; }
}
if [ "$use" = setup ]; then
	echo "127.0.0.1 blog.example" >> /etc/hosts
	mysql -e "create database wp; create user wp@localhost identified by 'wp'; grant all on wp.* to wp@localhost"
	cat > /etc/wordpress/config-blog.example.php <<'P'
<?php
define('DB_NAME', 'wp'); define('DB_USER', 'wp'); define('DB_PASSWORD', 'wp'); define('DB_HOST', 'localhost');
define('WP_CONTENT_DIR', '/var/lib/wordpress/wp-content');
P
	cat > /etc/nginx/sites-enabled/blog <<'P'
server {
	listen 80; server_name blog.example; root /usr/share/wordpress; index index.php; client_max_body_size 8m;
	location / { try_files $uri $uri/ /index.php?$args; }
	location /wp-content {
		alias /var/lib/wordpress/wp-content;
		location ~ \.php$ { include snippets/fastcgi-php.conf; fastcgi_param SCRIPT_FILENAME $request_filename; fastcgi_pass unix:/run/php/php-fpm.sock; }
	}
	location ~ \.php$ { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php-fpm.sock; }
}
P
	printf '#!/usr/bin/perl\n1 while <STDIN>;\nopen(my $log, ">>", "/tmp/mails"); print $log "@ARGV\\n";\n' > /usr/sbin/sendmail
	chmod 755 /usr/sbin/sendmail
	systemctl restart nginx
	ask 200 'http://blog.example/wp-admin/install.php?step=2' -d 'weblog_title=Blog&user_name=admin&admin_password=Aa1aaaaaaaaaaa&admin_password2=Aa1aaaaaaaaaaa&pw_weak=1&admin_email=a@blog.example&blog_public=0&Submit=Install'
fi
ask 200 http://blog.example/
ask 302 http://blog.example/wp-login.php -d 'log=admin&pwd=Aa1aaaaaaaaaaa&testcookie=1' -b 'wordpress_test_cookie=WP%20Cookie%20check'
ask 200 http://blog.example/wp-admin/index.php
grep -q '<title>Dashboard' /root/answer
ask 200 http://blog.example/wp-admin/media-new.php
nonce=$(grep -o '"_wpnonce":"[^"]*' /root/answer | head -n 1 | cut -d'"' -f4)
printf 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==' | base64 -d > /root/a.png
ask 200 -F async-upload=@/root/a.png -F name=a.png -F action=upload-attachment -F "_wpnonce=$nonce" http://blog.example/wp-admin/async-upload.php
grep -q '"success":true' /root/answer
ask 302 http://blog.example/wp-comments-post.php -d "comment=hello+$use&comment_post_ID=1&author=Bob&email=bob@blog.example"
ask 302 'http://blog.example/wp-login.php?action=lostpassword' -d 'user_login=admin&wp-submit=Get'
ask 200 'http://blog.example/wp-cron.php?doing_wp_cron'
ask 200 'http://blog.example/wp-admin/update-core.php?force-check=1'
ask 200 http://blog.example/wp-admin/site-health.php
