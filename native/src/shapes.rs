//! Lines of MTA text whose optional fields nobody has told, and that are not straight: each field is told by its shape. The twin of `_by_shape` and
//! `_counted_by_shape` in `shipper/formats/mta_text.py`, which has the rules and the reasons.
//!
//! Only ASCII, and only what is sure; for any doubt it is None, and Python reads that line.

use crate::mta::{
    address_end, addresses, application, bad_command, diagnostic, digits, head, is_queue_file, is_reply, item, left, message_id,
    message_id_end, optional_follows, ports, queue_file, source_system, system_end, text_item, trimmed_start, username, Item, Message,
};
use crate::tables::Tables;

/// `rest`: the line after its time stamp and the blank behind it; `record`: one of which nothing is known.
pub fn message<'a>(rest: &'a [u8], tables: &Tables, record: &mut Message<'a>) -> Option<()> {
    let tail = head(rest, tables, record).filter(|tail| tail.is_ascii())?;
    if let Some((sender, rest)) = text_item(tail) {
        if let Some((original, rest)) = text_item(rest) {
            if let Some((recipient, rest)) = text_item(rest) {
                record.to(sender, original.strip_prefix(b"rfc822;")?, recipient);
                return counted(rest, record, tables);
            }
        }
    }
    let (sender, original, from) = addresses(tail)?;
    if memchr::memchr2(b':', b';', sender).is_some() {
        return None;
    }
    if record.wire.code[0] == b'B' {
        record.to(sender, original, b"");
        return bad_command(from, record);
    }
    let (recipient, rest) = from.split_at(address_end(from));
    record.to(sender, original, recipient);
    by_shape(trimmed_start(rest), record, tables)
}

/// The optional fields, which begin with no blank: `_by_shape`.
fn by_shape<'a>(rest: &'a [u8], record: &mut Message<'a>, tables: &Tables) -> Option<()> {
    let action = record.wire.code[0];
    let (plain, dequeues) = (matches!(action, b'E' | b'D'), matches!(action, b'D' | b'K' | b'Q' | b'R' | b'W' | b'Z'));
    let mut rest = rest;
    let (mut word, mut after) = parted(rest);
    if let Some(number) = digits(word, 18) {
        if plain || !is_reply(rest) || optional_follows(after, tables)? {
            record.notary_flags = Some(number);
            rest = trimmed_start(after);
            (word, after) = parted(rest);
        }
    }
    if word.contains(&b'/') && is_queue_file(word) {
        queue_file(word, record);
        rest = trimmed_start(after);
        (word, after) = parted(rest);
    }
    let begins = !word.is_empty() && word[0] != b'<' && after.first() == Some(&b'<');
    if begins && (plain || !record.queue_file.is_empty()) && is_opaque(word, tables) && message_id_end(after) > 0 {
        record.envelope_id = word;
        rest = after;
    }
    let end = message_id_end(rest);
    if end > 0 {
        message_id(&rest[..end], record);
        rest = trimmed_start(behind(rest, end));
    }
    if !rest.is_empty() {
        rest = user(rest, plain, record, tables)?;
    }
    if !rest.is_empty() {
        let end = system_end(rest, plain, tables)?;
        if end > 0 {
            source_system(&rest[..end], &mut record.wire);
            rest = behind(rest, end);
        }
    }
    let rest = words(trimmed_start(rest), plain, dequeues, record, tables);
    left(trimmed_start(rest), dequeues, record)
}

/// Takes the user name at the beginning of a text, if there is one; what follows: `_username`.
fn user<'a>(rest: &'a [u8], plain: bool, record: &mut Message<'a>, tables: &Tables) -> Option<&'a [u8]> {
    let (word, after) = parted(rest);
    let mut take = |left| {
        username(word, &mut record.wire);
        Some(left)
    };
    if word.first() == Some(&b'*') || tables.is_account(word) {
        return take(after);
    }
    let other = matches!(word.first(), None | Some(b'(' | b'<')) || word.starts_with(b"dns;") || word.starts_with(b"TCP|");
    if other || is_status(word) || digits(word, 18).is_some() || tables.is_word(word) {
        return Some(rest);
    }
    if after.is_empty() {
        let user = plain && !tables.is_daemon(word) && !word.iter().any(|octet| matches!(octet, b'.' | b'@'));
        return if user { take(after) } else { Some(rest) };
    }
    if after[0] == b'(' && !after.starts_with(b"(TCP|") {
        return Some(rest); // the name of the source system
    }
    let second = memchr::memchr(b' ', after).filter(|&second| second > 0).map_or(&b""[..], |second| &after[second + 1..]);
    let status = is_status(after) || (after.starts_with(b"dns;") && !word.contains(&b'.'));
    if status || (second.first() == Some(&b'(') && system_end(after, false, tables)? > 0) || (second.starts_with(b"dns;") && plain) {
        return take(after);
    }
    Some(rest)
}

/// Takes sensitivity, priority, intermediate and initial address, as far as they are there; what follows: `_words`.
fn words<'a>(rest: &'a [u8], plain: bool, dequeues: bool, record: &mut Message<'a>, tables: &Tables) -> &'a [u8] {
    let mut rest = rest;
    let mut numbers: [&[u8]; 2] = [b""; 2];
    let mut count = 0;
    while !rest.is_empty() {
        let (word, after) = parted(rest);
        if count < 2 && digits(word, 18).is_some() && (plain || !is_reply(rest)) {
            numbers[count] = word;
            count += 1;
        } else if tables.is_sensitivity(word) {
            record.sensitivity = word;
        } else if tables.is_word(word) {
            record.priority = word;
        } else if plain && is_address(word) && word[0] != b'(' && !word.contains(&b';') && record.initial_address.is_empty() {
            if record.intermediate_address.is_empty() {
                record.intermediate_address = word;
            } else {
                record.initial_address = word;
            }
        } else {
            break;
        }
        rest = after;
    }
    match count {
        1 if rest.is_empty() && numbers[0].len() > 1 && dequeues => record.queue_seconds = digits(numbers[0], 18), // a priority has one digit
        0 => {}
        _ => record.priority = numbers[count - 1],
    }
    if count == 2 {
        record.sensitivity = numbers[0];
    }
    rest
}

/// The optional fields of LOG_FORMAT 3: `_counted_by_shape`.
fn counted<'a>(rest: &'a [u8], record: &mut Message<'a>, tables: &Tables) -> Option<()> {
    let sends = matches!(record.wire.code[0], b'E' | b'D');
    let mut rest = rest;
    let mut numbers: Vec<&[u8]> = Vec::new();
    let mut texts: Vec<&[u8]> = Vec::new();
    while !rest.is_empty() {
        let (found, after) = item(rest)?;
        rest = after;
        let text = match found {
            Item::Text(b"") => continue,
            Item::Text(text) => text,
            Item::Number(number) if number.len() > 1 && number[0] == b'0' => return None,
            Item::Number(number) => {
                let first = texts.is_empty() && numbers.is_empty() && record.queue_file.is_empty() && record.message_id.is_empty();
                if record.notary_flags.is_none() && first {
                    record.notary_flags = digits(number, 10);
                } else {
                    numbers.push(number);
                }
                continue;
            }
        };
        let follows = || matches!(item(after), Some((Item::Text([b'<', ..]), _)));
        let (plain, wire) = (texts.is_empty() && !text.contains(&b' '), &mut record.wire);
        let (filed, known) = (!record.queue_file.is_empty(), !record.message_id.is_empty());
        let remote = !(wire.remote_name.is_empty() && wire.remote_ip.is_empty());
        if plain && !filed && !known && is_queue_file(text) {
            queue_file(text, record);
        } else if plain && !known && record.envelope_id.is_empty() && follows() {
            record.envelope_id = text;
        } else if texts.is_empty() && !known && message_id_end(text) == text.len() {
            message_id(text, record);
        } else if text.starts_with(b"TCP|") {
            ports(text, wire)?;
        } else if wire.tcp && text.starts_with(b"SMTP") && !text.contains(&b' ') && wire.application.is_empty() {
            application(text, wire)?;
        } else if wire.username.is_empty() && plain && (text[0] == b'*' || tables.is_account(text)) {
            username(text, wire);
        } else if !remote && system_end(text, sends, tables)? == text.len() && !diagnoses(text) {
            source_system(text, wire);
        } else if wire.username.is_empty() && plain && !diagnoses(text) && (known || !text.contains(&b'@')) {
            if known || !record.envelope_id.is_empty() || !filed {
                username(text, wire);
            } else {
                record.envelope_id = text;
            }
        } else {
            texts.push(text);
        }
    }
    let mut told = false;
    for (number, text) in texts.iter().enumerate() {
        let single = !text.contains(&b' ');
        if diagnoses(text) || (number + 1 == texts.len() && !(sends && single && is_address(text))) {
            if std::mem::replace(&mut told, true) {
                return None;
            }
            diagnostic(text, record)?;
        } else if text.len() == 1 {
            return None; // Python takes it for the last one, if that is the same
        } else if single && text.contains(&b'@') && record.initial_address.is_empty() {
            if record.intermediate_address.is_empty() {
                record.intermediate_address = text;
            } else {
                record.initial_address = text;
            }
        } else if record.wire.reason.is_empty() {
            record.wire.reason = text;
        } else {
            return None;
        }
    }
    if numbers.len() > 2 {
        record.queue_seconds = numbers.pop().and_then(|number| digits(number, 10));
    }
    if let Some(last) = numbers.last() {
        record.priority = last;
    }
    if numbers.len() == 2 {
        record.sensitivity = numbers[0];
    }
    Some(())
}

/// Whether this is a delivery status by its beginning.
fn diagnoses(text: &[u8]) -> bool {
    let begins = text.starts_with(b"dns;") || text.starts_with(b"(TCP|") || is_status(text);
    begins || memchr::memmem::find(&text[..text.len().min(260)], b" dns;").is_some()
}

fn is_status(text: &[u8]) -> bool {
    text.starts_with(b"smtp;") || text.starts_with(b"lmtp;")
}

/// Whether this is an address, and not the end of a sentence.
fn is_address(word: &[u8]) -> bool {
    word.contains(&b'@') && !matches!(word.last(), Some(b'.' | b':' | b',' | b'>'))
}

/// Whether this can be an envelope id: one word that is no delivery status.
fn is_opaque(word: &[u8], tables: &Tables) -> bool {
    !(matches!(word[0], b'(' | b'*') || word.starts_with(b"dns;") || is_status(word) || tables.is_account(word))
}

/// The first word, and what follows its blank.
fn parted(text: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b' ', text).unwrap_or(text.len());
    (&text[..end], behind(text, end))
}

/// What follows the blank that stands there.
fn behind(text: &[u8], end: usize) -> &[u8] {
    text.get(end + 1..).unwrap_or_default()
}
