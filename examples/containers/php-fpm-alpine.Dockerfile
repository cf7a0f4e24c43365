FROM php:8.4-fpm-alpine
COPY portcullis /usr/bin/
COPY libportcullis.so /usr/lib/
COPY portcullis.toml /etc/portcullis/
RUN portcullis compile -o /etc/portcullis/policy
ENV LD_PRELOAD=/usr/lib/libportcullis.so
