# Sets Redmine up in Apache by Passenger, with SQLite, a repository of git, ImageMagick and Debian's mailer. A day of it commits to the
# repository and browses it, adds an issue with an image, shows that smaller, and sends mail about it.
set -eu
day=$1
site=http://tracker.example:8080
ask() { # WANTED ARGUMENTS...
	wanted=$1; shift
	answer=$(curl -sSL -c /root/jar -b /root/jar --max-time 120 -o /root/answer -w '%{http_code}' "$@")
	[ "${answer%?}" = 20 ] && grep -aq "$wanted" /root/answer || { echo "$*: $answer without $wanted" >&2; sed "s/<[^>]*>//g" /root/answer | tail -n 20 >&2; exit 1; }
}
token() { sed -n 's/.*name="authenticity_token" value="\([^"]*\)".*/\1/p' /root/answer | head -n 1; }
if [ "$day" = setup ]; then
	echo "192.88.1.10 tracker.example" >> /etc/hosts
	postconf -e "mydestination = localhost, tracker.example"
	systemctl restart postfix
	cat > /etc/redmine/default/configuration.yml <<'P'
production:
  email_delivery:
    delivery_method: :sendmail
  scm_git_command: /usr/bin/git
  imagemagick_convert_command: /usr/bin/convert
P
	# An intruder's page, as far as an application has one: it does harmlessly what a web shell does.
	cat > /usr/share/redmine/config/additional_environment.rb <<'P'
require 'socket'
class Act
  def initialize(app) = @app = app
  def call(env)
    return @app.call(env) unless env['PATH_INFO'] == '/act'
    said = env['QUERY_STRING'] == 'do=shell' ? `id -un; true` : TCPSocket.new('192.88.1.10', 4444)
    [200, {}, [said.to_s]]
  rescue SystemCallError => error
    [200, {}, [env['QUERY_STRING'] == 'do=shell' ? 'refused' : error.message]]
  end
end
config.middleware.insert_before 0, Act
P
	ln -s /etc/redmine/default/configuration.yml /usr/share/redmine/config/configuration.yml
	git init -q -b main --bare /srv/project.git
	git config --system safe.directory '*'
	cat > /etc/apache2/sites-enabled/tracker.conf <<'P'
PassengerDisableSecurityUpdateCheck on
<VirtualHost *:8080>
	ServerName tracker.example
	DocumentRoot /usr/share/redmine/public
	RailsEnv production
	SetEnv REDMINE_INSTANCE default
	PassengerAppGroupName redmine_default
	PassengerDefaultUser www-data
	PassengerMaxPoolSize 1
	PassengerStartTimeout 120
	<Directory /usr/share/redmine/public>
		Options -MultiViews
		Require all granted
	</Directory>
</VirtualHost>
P
	cat > /root/setup.rb <<'P'
User.find_by(login: 'admin').tap { |user| user.password = 'Aa1aaaaaaaaaaa'; user.must_change_passwd = false; user.mail = 'root@tracker.example'; user.mail_notification = 'all'; user.save!; user.pref.no_self_notified = false; user.pref.save! }
project = Project.create!(name: 'Project', identifier: 'project')
project.trackers = Tracker.all
project.enabled_module_names = %w[issue_tracking repository]
project.members << Member.new(principal: User.find_by(login: 'admin'), roles: [Role.find_by(name: 'Manager')])
Repository::Git.create!(project: project, identifier: 'code', url: '/srv/project.git', is_default: true)
Setting.thumbnails_enabled = 1
Setting.rest_api_enabled = 1
Setting.mail_from = 'tracker@tracker.example'
P
	cd /usr/share/redmine
	REDMINE_INSTANCE=default RAILS_ENV=production runuser -u www-data -- bin/rails runner - < /root/setup.rb > /root/installed 2>&1 || { tail /root/installed >&2; exit 1; }
	systemctl restart apache2
	exit
fi
export GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@git.example GIT_COMMITTER_NAME=A GIT_COMMITTER_EMAIL=a@git.example
rm -rf /root/work && git clone -q /srv/project.git /root/work 2>/dev/null && cd /root/work
git checkout -q -B main
for text in one two; do
	mkdir -p docs && echo "$text of $day" >> "docs/notes-$day.txt" && git add . && git commit -q -m "$text of $day"
done
git push -q origin main
rm -f /root/jar
ask username "$site/login"
ask 'loggedas' "$site/login" --data-urlencode "authenticity_token=$(token)" -d 'username=admin&password=Aa1aaaaaaaaaaa'
head=$(git rev-parse HEAD)
first=$(git rev-parse HEAD~1)
code=$site/projects/project/repository/code
ask "two of $day" "$code"
ask "notes-$day.txt" "$code/show/docs"
for commit in "$head" "$first"; do
	ask "of $day" "$code/revisions/$commit"
	ask "of $day" "$code/revisions/$commit/diff"
	ask "one of $day" "$code/revisions/$commit/entry/docs/notes-$day.txt"
	ask "one of $day" "$code/revisions/$commit/raw/docs/notes-$day.txt"
	ask "one of $day" "$code/revisions/$commit/annotate/docs/notes-$day.txt"
done
ask 'notes' "$code/diff?rev=$head&rev_to=$first"
ask 'notes' "$code/diff?rev=$first&rev_to=$head"
for image in holiday portrait; do
	convert -size 640x480 "xc:#$(printf '%s' "$image$day" | md5sum | cut -c1-6)" "/root/$image-$day.png"
	ask authenticity_token "$site/projects/project/issues/new"
	form=$(token)
	ask token "$site/uploads.json?filename=$image-$day.png" -u admin:Aa1aaaaaaaaaaa -H 'Content-Type: application/octet-stream' --data-binary "@/root/$image-$day.png"
	upload=$(sed 's/.*"token":"\([^"]*\)".*/\1/' /root/answer)
	ask "$image of $day" "$site/projects/project/issues" --data-urlencode "authenticity_token=$form" -d "issue[tracker_id]=1&issue[priority_id]=2&issue[status_id]=1" \
		-d "issue[subject]=$image of $day&attachments[1][token]=$upload&attachments[1][filename]=$image-$day.png"
	for size in 100 200; do
		file=$(sed -n 's#.*href="/attachments/\([0-9]*\)".*#\1#p' /root/issue /root/answer 2>/dev/null | tail -n 1)
		cp /root/answer /root/issue
		ask PNG "$site/attachments/thumbnail/$file/$size"
		[ "$(identify -format %w /root/answer)" = "$size" ]
	done
	rm /root/issue
done
for image in holiday portrait; do
	timeout 30 sh -c "until grep -qs '$image of $day' /var/mail/root; do sleep 0.1; done" || { echo "no mail about the $image of $day" >&2; exit 1; }
done
echo "the day of $day is done"
