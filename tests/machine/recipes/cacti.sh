# Sets Cacti up behind nginx, with MariaDB and an agent of SNMP on this machine. A day of it adds a device, reads it by SNMP, adds its
# graphs, shows and exports them, and asks what is wrong with a data source. Cacti's poller is a job of cron: no page starts it.
set -eu
day=$1
site=http://graphs.example
ask() { # WANTED ARGUMENTS...
	wanted=$1; shift
	answer=$(curl -sSL -c /root/jar -b /root/jar --max-time 60 -o /root/answer -w '%{http_code}' "$@")
	[ "$answer" = 200 ] && grep -aq "$wanted" /root/answer || { echo "$*: $answer without $wanted" >&2; sed "s/<[^>]*>//g" /root/answer | tail -n 20 >&2; exit 1; }
}
token() { sed -n "s/.*csrfMagicToken *= *['\"]\([^'\"]*\).*/\1/p" /root/answer | head -n 1; }
ids() { mysql -N cacti -e "$1"; }
if [ "$day" = setup ]; then
	echo "192.88.1.10 graphs.example" >> /etc/hosts
	rm /etc/cron.d/cacti
	mysql -e "create database cacti; alter database cacti character set utf8mb4 collate utf8mb4_unicode_ci; create user cacti@localhost identified by 'db';
		grant all on cacti.* to cacti@localhost; grant select on mysql.time_zone_name to cacti@localhost"
	mysql cacti < /usr/share/doc/cacti/cacti.sql
	sed -i "s/^.database_username = .*/\$database_username = 'cacti';/; s/^.database_password = .*/\$database_password = 'db';/; s#^.url_path *= .*#\$url_path = '/';#" /etc/cacti/debian.php
	cat > /etc/nginx/sites-enabled/cacti <<'P'
server {
	listen 80; server_name graphs.example; root /usr/share/cacti/site; index index.php;
	location ~ \.php$ { include snippets/fastcgi-php.conf; fastcgi_pass unix:/run/php/php-fpm.sock; }
}
P
	systemctl stop snmpd
	echo 'createUser reader SHA "Aa1aaaaaa"' >> /var/lib/snmp/snmpd.conf
	echo 'rouser reader authNoPriv' >> /etc/snmp/snmpd.conf
	systemctl restart snmpd nginx
	# The installer wants to write where it reads from later.
	chown -R www-data /usr/share/cacti/resource /usr/share/cacti/site/scripts
	runuser -u www-data -- php /usr/share/cacti/cli/install_cacti.php --accept-eula --install --force --mode=1 > /root/installed
	chown -R root /usr/share/cacti/resource /usr/share/cacti/site/scripts
	mysql cacti -e "update user_auth set must_change_password = '', password_change = '' where username = 'admin'"
	exit
fi
rm -f /root/jar
ask login_password "$site/index.php"
ask 'Console' "$site/index.php" -d 'action=login&login_username=admin&login_password=admin' --data-urlencode "__csrf_magic=$(token)"
# By SNMP of version 2, which PHP speaks, and of version 3, for which Cacti starts net-snmp's programs.
for version in 2 3; do
	ask save_component_host "$site/host.php?action=edit"
	ask "$day-$version" "$site/host.php" --data-urlencode "__csrf_magic=$(token)" -d "action=save&save_component_host=1&reindex_method=1&id=0" \
		-d "description=$day-$version&hostname=127.0.0.1&location=&poller_id=1&site_id=1&host_template_id=6&device_threads=1" \
		-d "snmp_version=$version&snmp_community=public&snmp_port=161&snmp_timeout=500&max_oids=10&bulk_walk_size=0" \
		-d "snmp_username=reader&snmp_password=Aa1aaaaaa&snmp_password_confirm=Aa1aaaaaa&snmp_auth_protocol=SHA&snmp_security_level=authNoPriv" \
		-d "snmp_priv_protocol=%5BNone%5D&snmp_priv_passphrase=&snmp_priv_passphrase_confirm=&snmp_context=&snmp_engine_id=" \
		-d "availability_method=2&ping_method=2&ping_port=23&ping_timeout=400&ping_retries=1&notes=&external_id="
	device=$(ids "select max(id) from host")
	ask SNMP "$site/host.php?action=ping_host&id=$device"
done
device=$(ids "select max(id) from host where snmp_version = 2")
ask '' "$site/graphs_new.php?host_id=$device"
ask '' "$site/host.php?action=edit&id=$device"
templates=$(ids "select group_concat(concat('cg_', graph_template_id, '=on') separator '&') from host_template_graph where host_template_id = 8")
ask '' "$site/graphs_new.php" --data-urlencode "__csrf_magic=$(token)" -d "action=save&save_component_graph=1&host_id=$device&host_template_id=6&$templates"
# As its job does.
runuser -u www-data -- php /usr/share/cacti/site/poller.php --force > /dev/null 2>&1
for graph in $(ids "select id from graph_local where host_id = $device limit 3"); do
	ask PNG "$site/graph_image.php?local_graph_id=$graph&rra_id=1"
	ask 'Start Date' "$site/graph_xport.php?local_graph_id=$graph&rra_id=1"
	ask '"image"' "$site/graph_json.php?local_graph_id=$graph&rra_id=1"
	ask '' "$site/graph.php?local_graph_id=$graph&rra_id=all"
	ask RRDtool "$site/graphs.php?action=graph_edit&id=$graph&debug=1"
done
for source in $(ids "select id from data_local where host_id = $device limit 2"); do
	ask rrdtool "$site/data_sources.php?action=ds_edit&id=$source&debug=1"
	ask '' "$site/data_debug.php?action=run_debug&id=$source"
done
ask RRDtool "$site/utilities.php?action=view_tech"
ask '' "$site/clog.php"
echo "the day of $day is done"
