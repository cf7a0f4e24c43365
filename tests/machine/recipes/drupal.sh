# Sets Drupal 7 up behind nginx, with SQLite, a feed of another host and Debian's mailer, from /sources/drupal.tar. A day of it writes an
# article with an image, which it shows smaller, comments, searches, reads a feed, runs cron, and sends mail to visitors.
set -eu
day=$1
site=http://site.example
ask() { # WANTED ARGUMENTS...
	wanted=$1; shift
	answer=$(curl -sSL -c /root/jar -b /root/jar --max-time 60 -o /root/answer -w '%{http_code}' "$@")
	[ "$answer" = 200 ] && grep -aq "$wanted" /root/answer || { echo "$*: $answer without $wanted" >&2; sed "s/<[^>]*>//g" /root/answer | grep -v '^\s*$' | tail -n 20 >&2; exit 1; }
}
hidden() { # FORM NAME
	awk -F'"' -v form="$1" -v name="$2" '/name="form_/ { for (i = 1; i < NF; i++) if ($i ~ /name=$/) { of[$(i + 1)] = $(i + 3); if ($(i + 1) == "form_id" && $(i + 3) == form) { print of[name]; exit } } }' /root/answer
}
send() { # WANTED PATH FORM ARGUMENTS...
	expected=$1 path=$2 form=$3; shift 3
	ask "$form" "$site/$path"
	ask "$expected" "$site/$path" -F "form_id=$form" -F "form_build_id=$(hidden "$form" form_build_id)" -F "form_token=$(hidden "$form" form_token)" "$@"
}
if [ "$day" = setup ]; then
	echo "192.88.1.10 site.example feeds.example" >> /etc/hosts
	postconf -e "mydestination = localhost, site.example" luser_relay=root@site.example local_recipient_maps=
	systemctl restart postfix
	tar -C /usr/share -xf /sources/drupal.tar
	cd /usr/share/drupal
	# The server writes files and its database, and no code.
	chmod -R g-w .
	mkdir -p sites/default/files /var/lib/drupal
	cp sites/default/default.settings.php sites/default/settings.php
	chown -R www-data sites/default/files sites/default/settings.php /var/lib/drupal
	cat > /root/install.php <<'P'
<?php
$_SERVER = ['HTTP_HOST' => 'site.example', 'REMOTE_ADDR' => '127.0.0.1', 'REQUEST_METHOD' => 'GET', 'SCRIPT_NAME' => '/index.php'] + $_SERVER;
define('DRUPAL_ROOT', getcwd());
define('MAINTENANCE_MODE', 'install');
require_once 'includes/install.core.inc';
install_drupal(['parameters' => ['profile' => 'standard', 'locale' => 'en'], 'forms' => [
    'install_settings_form' => ['driver' => 'sqlite', 'sqlite' => ['database' => '/var/lib/drupal/site.sqlite', 'db_prefix' => ''], 'op' => 'Save and continue'],
    'install_configure_form' => ['site_name' => 'Site', 'site_mail' => 'site@site.example', 'clean_url' => true, 'op' => 'Save and continue',
        'account' => ['name' => 'admin', 'mail' => 'root@site.example', 'pass' => ['pass1' => 'Aa1aaaaaaaaaaa', 'pass2' => 'Aa1aaaaaaaaaaa']]],
]]);
module_enable(['aggregator', 'contact', 'update']);
variable_set('user_register', 1);
variable_set('clean_url', 1);
echo variable_get('cron_key');
P
	runuser -u www-data -- php < /root/install.php > /root/cron_key
	chown root sites/default/settings.php
	cat > /etc/nginx/sites-enabled/site <<'P'
server {
	listen 80; server_name site.example; root /usr/share/drupal; index index.php; client_max_body_size 8m;
	location / { try_files $uri /index.php?$query_string; }
	location ~ \.php$ { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php-fpm.sock; }
}
server { listen 192.88.1.10:8765; root /srv/feeds; }
P
	systemctl restart nginx
	exit
fi
mkdir -p /srv/feeds
cat > "/srv/feeds/$day.xml" <<P
<?xml version="1.0"?><rss version="2.0"><channel><title>News of $day</title><link>http://feeds.example/</link><description>News</description>
<item><title>Headline of $day</title><link>http://feeds.example/$day</link><guid>$day</guid><description>Text</description></item></channel></rss>
P
rm -f /root/jar
send 'user/logout' user user_login -F name=admin -F pass=Aa1aaaaaaaaaaa -F 'op=Log in'
convert -size 1024x768 "xc:#$(printf '%s' "$day" | md5sum | cut -c1-6)" "/root/$day.png"
send "Story of $day" node/add/article article_node_form -F "title=Story of $day" -F "body[und][0][value]=Text of $day" -F 'body[und][0][format]=filtered_html' \
	-F language=und -F status=1 -F promote=1 -F comment=2 -F "field_tags[und]=$day" -F "files[field_image_und_0]=@/root/$day.png" -F op=Save
page=$(sed -n 's#.*about="/\(node/[0-9]*\)".*#\1#p' /root/answer | head -n 1)
for shown in "large $page" "medium " "thumbnail $page/edit"; do
	ask "Story of $day" "$site/${shown#* }"
	image=$(grep -o "/sites/default/files/styles/${shown% *}/[^\"]*$day.png[^\"]*" /root/answer | head -n 1 | sed 's/&amp;/\&/g')
	ask PNG "$site$image"
done
send "Comment of $day" "$page" comment_node_article_form -F "subject=Comment of $day" -F "comment_body[und][0][value]=Comment of $day" -F 'comment_body[und][0][format]=filtered_html' -F op=Save
send "has been added\|Feeds" admin/config/services/aggregator/add/feed aggregator_form_feed -F "title=$day" -F "url=http://feeds.example:8765/$day.xml" -F refresh=3600 -F block=5 -F op=Save
ask "$day" "$site/admin/config/services/aggregator"
feed=$(grep -o "/admin/config/services/aggregator/update/[^\"]*" /root/answer | sed 's/&amp;/\&/g' | sort -t/ -k7 -n | tail -n 1)
ask 'new syndicated content' "$site$feed"
ask "Headline of $day" "$site/aggregator"
curl -sS --max-time 120 "$site/cron.php?cron_key=$(tail -n 1 /root/cron_key)"
ask "Story of $day" "$site/search/node/$day"
for path in admin/reports/status admin/reports/updates admin/modules admin/people rss.xml; do ask '' "$site/$path"; done
send 'has been sent' contact contact_site_form -F "name=Visitor" -F "mail=visitor@site.example" -F "subject=Question of $day" -F "message=Question" -F 'op=Send message'
rm -f /root/jar
send 'welcome message' user/register user_register_form -F "name=visitor-$day" -F "mail=visitor-$day@site.example" -F 'op=Create new account'
for mail in "To: visitor-$day@site.example" "Question of $day"; do
	timeout 30 sh -c "until grep -qs '$mail' /var/mail/root; do sleep 0.1; done" || { echo "no mail: $mail" >&2; exit 1; }
done
echo "the day of $day is done"
