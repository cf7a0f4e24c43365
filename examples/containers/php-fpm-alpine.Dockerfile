FROM debian:trixie-slim AS portcullis
COPY portcullis.deb portcullis.toml /etc/portcullis/
RUN dpkg -i --force-confold /etc/portcullis/portcullis.deb && portcullis compile -o /etc/portcullis/policy && cp /usr/lib/*/libportcullis.so /usr/lib/libportcullis.so

FROM php:8.4-fpm-alpine
COPY --from=portcullis /usr/lib/libportcullis.so /usr/lib/libportcullis.so
COPY --from=portcullis /etc/portcullis/policy /etc/portcullis/policy
ENV LD_PRELOAD=/usr/lib/libportcullis.so
