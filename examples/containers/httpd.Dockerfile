FROM httpd:2.4
COPY portcullis.deb portcullis.toml /etc/portcullis/
RUN dpkg -i --force-confold /etc/portcullis/portcullis.deb && rm /etc/portcullis/portcullis.deb && portcullis compile -o /etc/portcullis/policy
ENV LD_PRELOAD=/usr/\$LIB/libportcullis.so
