//! Writes events of ten virtual hosts to standard output: always the same ones, as the library writes them. `scripts/logs` measures
//! the command with them.
//!
//! Arguments: how many, and `few` (a few hundred commands and destinations) or `distinct` (each script, client, command and destination
//! another one).

use std::io::{BufWriter, Error, Write};

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let count = arguments.next().and_then(|count| count.parse().ok());
    let kind = arguments.next().and_then(|kind| match kind.as_str() {
        "few" => Some(Kind::Few),
        "distinct" => Some(Kind::Distinct),
        _ => None,
    });
    let (Some(count), Some(kind)) = (count, kind) else { return Err(Error::other("usage: events COUNT few|distinct")) };
    let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    write(&mut out, count, kind)?;
    out.flush()
}

/// What the events differ in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A few hundred commands and destinations, again and again.
    Few,
    /// Each script, client, command and destination another one.
    Distinct,
}

/// Numbers that look like random ones: SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A word of its own for each number: commands that differ in digits alone are of one kind.
fn letters(mut number: u64) -> String {
    let mut word = String::new();
    loop {
        word.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
        if number == 0 {
            return word;
        }
    }
}

/// Writes so many events of two hosts, over 30 days or more, one in a thousand of them twice.
fn write(out: &mut dyn Write, count: u64, kind: Kind) -> std::io::Result<()> {
    let (mut numbers, mut written) = (Numbers(7), [0_u64; 2]);
    for at in 0..count {
        let vhost = numbers.below(10);
        let (page, address, repeated) = (numbers.below(20), numbers.below(4096), numbers.below(300));
        let (page, address, number_of) = match kind {
            Kind::Few => (page, address, repeated),
            Kind::Distinct => (at, at, at),
        };
        let (site, script) = (format!("shop{vhost}.example"), format!("/srv/www/shop{vhost}/page{page}.php"));
        let host = vhost % 2 + 1;
        // Of 10/8, which has an address for each of 16 million clients.
        let client = std::net::Ipv4Addr::from(0x0a00_0000 | address as u32 & 0x00ff_ffff);
        let (request, pid, second) = (numbers.next(), 2000 + numbers.below(30_000), 2_592_000 * at / count.max(1));
        let (day, time) = (second / 86_400 + 1, second % 86_400);
        let time = format!("{:02}:{:02}:{:02}.{:09}", time / 3600, time / 60 % 60, time % 60, at % 1_000_000_000);
        written[host as usize - 1] += 1;
        let (stream, number) = (format!("{:016x}", 0xabcd_0000 + host), written[host as usize - 1]);
        let kind_of = match kind {
            Kind::Few => "resize".to_owned(),
            Kind::Distinct => letters(at),
        };
        let command = format!(
            "/usr/bin/convert /srv/www/shop{vhost}/in/{number_of}.jpg -{kind_of} 200x200 /srv/www/shop{vhost}/out/{number_of}.png"
        );
        let head = format!(
            "{{\"@timestamp\":\"2026-11-{day:02}T{time}Z\",\"message\":\"php-fpm: pool www > sh starts a shell: sh -c {command}, for GET \
             {site}/page.php?id={number_of} from {client}\",\"ecs\":{{\"version\":\"9.0.0\"}},\"event\":{{\"id\":\"{stream}-{number}\",\
             \"kind\":\"alert\",\"module\":\"portcullis\",\"dataset\":\"portcullis.events\",",
        );
        let tail = format!(
            "\"user\":{{\"id\":\"33\",\"name\":\"www-data\"}},\"host\":{{\"hostname\":\"web{host}\",\"os\":{{\"type\":\"linux\"}}}},\
             \"url\":{{\"domain\":\"{site}\",\"original\":\"/page.php?id={number_of}\"}},\"http\":{{\"request\":{{\"method\":\"GET\",\
             \"id\":\"{request:016x}\"}}}},\"client\":{{\"address\":\"{client}\",\"ip\":\"{client}\"}},\"portcullis\":{{\"layer\":\"libc\",\
             \"mode\":\"audit\",\"vhost\":\"shop{vhost}\",\"role\":\"serving\",\"chain\":\"php-fpm: pool www{chain}\",\"clause\":\"{clause}\",\
             \"request\":{{\"source\":\"nginx\",\"state\":\"known\",\"pool\":\"www\",\"document_root\":\"/srv/www/shop{vhost}\",\
             \"script\":\"{script}\"}},\"stream\":\"{stream}\",\"dropped\":0,\"merged\":0}}}}\n",
            chain = if number_of % 4 == 3 { "" } else { " > sh" },
            clause = if number_of % 4 == 3 { "no allow entry has this destination" } else { "shell sh (default)" },
        );
        let parent = "\"parent\":{\"pid\":4018,\"name\":\"php-fpm8.2\",\"executable\":\"/usr/sbin/php-fpm8.2\",\"working_directory\":\
                      \"/srv/www\",\"args\":[\"php-fpm: pool www\"],\"args_count\":1,\"command_line\":\"php-fpm: pool www\"}";
        let event = if number_of % 4 == 3 {
            format!(
                "\"category\":[\"network\"],\"type\":[\"start\"],\"action\":\"connection_attempted\",\"outcome\":\"success\",\"severity\":21,\
                 \"sequence\":{number}}},\"rule\":{{\"id\":\"egress-port\",\"name\":\"Web Server Process Connecting To Uncommon Port\"}},\
                 \"destination\":{{\"ip\":\"2001:db8::{:x}:{:x}\",\"port\":4443}},\"network\":{{\"direction\":\"egress\",\
                 \"transport\":\"tcp\",\"type\":\"ipv6\"}},\"process\":{{\"pid\":4018,\"name\":\"php-fpm8.2\",\"executable\":\"/usr/sbin/php-fpm8.2\",\
                 \"working_directory\":\"/srv/www\",\"args\":[\"php-fpm: pool www\"],\"args_count\":1,\"command_line\":\"php-fpm: pool www\",\
                 {parent}}},",
                number_of >> 16 & 0xffff,
                number_of & 0xffff,
            )
        } else {
            format!(
                "\"category\":[\"process\"],\"type\":[\"start\"],\"action\":\"exec\",\"outcome\":\"success\",\"severity\":47,\
                 \"sequence\":{number}}},\"rule\":{{\"id\":\"shell-spawn\",\"name\":\"Web Server Process Spawning Shell\"}},\"threat\":\
                 {{\"framework\":\"MITRE ATT&CK\",\"technique\":{{\"id\":[\"T1505\",\"T1059\"],\"subtechnique\":{{\"id\":[\"T1505.003\",\
                 \"T1059.004\"]}}}}}},\"process\":{{\"pid\":{pid},\"name\":\"sh\",\"executable\":\"/usr/bin/dash\",\"working_directory\":\
                 \"/srv/www\",\"args\":[\"sh\",\"-c\",\"{command}\"],\"args_count\":3,\"command_line\":\"sh -c {command}\",{parent}}},",
            )
        };
        let line = [head, event, tail].concat();
        out.write_all(line.as_bytes())?;
        if at % 1000 == 0 {
            out.write_all(line.as_bytes())?;
        }
    }
    Ok(())
}
