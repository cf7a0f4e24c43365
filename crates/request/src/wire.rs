//! A request as a string for the environment of a descendant: a version, then each field with its length before it.

use crate::{Field, Request, Source, State};

/// The longest string, in bytes.
pub const WIRE_MAX: usize = 2800;

fn fields(request: &Request) -> [&[u8]; 8] {
    [
        // Half a name or a path is another one.
        request.server_name.whole(),
        request.document_root.whole(),
        request.script.whole(),
        request.method.bytes(),
        request.uri.bytes(),
        request.client.bytes(),
        request.pool.whole(),
        request.profile.whole(),
    ]
}

/// Writes `request` by `push`, with `id` as its number: `2STATE SOURCE`, the number in 16 hexadecimal digits, then
/// `LENGTH:BYTES` for each field. A NUL, which an environment cannot hold, becomes a question mark.
pub fn write(request: &Request, id: u64, mut push: impl FnMut(&[u8])) {
    push(b"2");
    push(&[b'0'.wrapping_add(request.state as u8), b'0'.wrapping_add(request.source as u8)]);
    let mut digits = [0; 16];
    let mut rest = id;
    for digit in digits.iter_mut().rev() {
        *digit = hex_digit((rest & 15) as u8);
        rest >>= 4;
    }
    push(&digits);
    for field in fields(request) {
        let mut digits = [b'0'; 4];
        let mut rest = field.len();
        for digit in digits.iter_mut().rev() {
            *digit = b'0'.wrapping_add((rest % 10) as u8);
            rest /= 10;
        }
        push(&digits);
        push(b":");
        for part in field.split_inclusive(|&byte| byte == 0) {
            match part.split_last() {
                Some((0, before)) => {
                    push(before);
                    push(b"?");
                }
                _ => push(part),
            }
        }
    }
}

fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0'.wrapping_add(value) } else { b'a'.wrapping_add(value.wrapping_sub(10)) }
}

/// Reads what [`write()`] wrote; `None` where it is anything else.
#[must_use]
pub fn read(text: &[u8]) -> Option<Request> {
    let mut request = Request::none();
    read_into(text, &mut request).map(|()| request)
}

/// The same into `request`, which has no fields set so far; what is in it after `None` means nothing.
#[must_use]
pub fn read_into(text: &[u8], request: &mut Request) -> Option<()> {
    let ([b'2', state, source], rest) = text.split_first_chunk::<3>()? else { return None };
    request.state = State::from_byte(state.wrapping_sub(b'0'));
    request.source = Source::from_byte(source.wrapping_sub(b'0'));
    let (digits, mut rest) = rest.split_first_chunk::<16>()?;
    for digit in digits {
        let value = (*digit as char).to_digit(16)?;
        request.id = (request.id << 4) | u64::from(value);
    }
    field(&mut rest, &mut request.server_name)?;
    field(&mut rest, &mut request.document_root)?;
    field(&mut rest, &mut request.script)?;
    field(&mut rest, &mut request.method)?;
    field(&mut rest, &mut request.uri)?;
    field(&mut rest, &mut request.client)?;
    field(&mut rest, &mut request.pool)?;
    field(&mut rest, &mut request.profile)?;
    rest.is_empty().then_some(())
}

/// Reads one field off `rest`.
fn field<const N: usize>(rest: &mut &[u8], into: &mut Field<N>) -> Option<()> {
    let (digits, after) = rest.split_first_chunk::<4>()?;
    let mut length = 0_usize;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        length = length.wrapping_mul(10).wrapping_add(usize::from(digit));
    }
    let (value, after) = after.strip_prefix(b":")?.split_at_checked(length)?;
    into.set(value);
    *rest = after;
    Some(())
}
