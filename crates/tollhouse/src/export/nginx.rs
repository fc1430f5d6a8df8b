//! For an Nginx in front of the house: a site that passes everything on as it is.

use std::net::IpAddr;

use tollhouse_config::Config;
use tollhouse_units::format_duration;

use crate::{keys, wiring};

/// A site for `/etc/nginx/conf.d`.
pub(super) fn site(config: &Config) -> String {
    let names = wiring::host_names(config);
    let name = names.first().map_or("ai.example.com", String::as_str);
    let all = if names.is_empty() { name.to_owned() } else { names.join(" ") };
    let house = keys::reachable(config.listen.address);
    let body = config.limits.body.0.div_ceil(1024);
    // nginx ends a connection that says nothing for this long: never before the house does.
    let silent = (config.timeouts.total.max(config.timeouts.first_byte)).as_secs().max(60) + 10;
    let head = config.limits.head.0.div_ceil(1024);
    let trusts = config.access.trusted_proxies.iter().any(|network| network.contains(&IpAddr::from([127, 0, 0, 1])));
    let warning = if trusts {
        String::new()
    } else {
        "# ATTENTION: the configuration of tollhouse needs  access: {trusted_proxies: [127.0.0.1]}\n\
         #            or every client has the address of this nginx, for limits and records.\n"
            .to_owned()
    };
    format!(
        "\
# tollhouse behind nginx. Written by `tollhouse export nginx`.
#   try:           nginx -t
#   put in force:  as /etc/nginx/conf.d/tollhouse.conf, then  nginx -s reload
{warning}\
map $http_upgrade $tollhouse_connection {{
    default upgrade;
    ''      '';
}}

upstream tollhouse {{
    server {house};
    keepalive 64;
}}

server {{
    listen 80;
    listen [::]:80;
    server_name {all};
    server_tokens off;

    location /.well-known/acme-challenge/ {{ root /var/www/letsencrypt; }}
    location / {{ return 301 https://$host$request_uri; }}
}}

server {{
    listen 443 ssl http2;
    listen [::]:443 ssl http2;
    server_name {all};
    server_tokens off;

    ssl_certificate     /etc/letsencrypt/live/{name}/fullchain.pem;
    ssl_certificate_key /etc/letsencrypt/live/{name}/privkey.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tollhouse:10m;
    ssl_session_tickets off;

    # Here and nowhere below: an add_header in a location would take all of these away.
    add_header Strict-Transport-Security \"max-age=31536000\" always;

    client_max_body_size {body}k;
    large_client_header_buffers 4 {head}k;

    location / {{
        # No path behind the address: /v1/ stays whole.
        proxy_pass http://tollhouse;
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        # Set anew, not added to what a client says.
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $tollhouse_connection;

        # Answers come piece by piece; nothing is gathered.
        proxy_buffering off;
        proxy_request_buffering off;
        gzip off;

        # A model may think for long (`timeouts.total` is {total}); the house itself says when it is over.
        proxy_connect_timeout 5s;
        proxy_read_timeout {silent}s;
        proxy_send_timeout 60s;
        # The house repeats what can be repeated; nginx would ask the model twice.
        proxy_next_upstream off;
    }}
}}
",
        total = format_duration(config.timeouts.total),
    )
}
