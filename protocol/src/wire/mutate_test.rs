//! Messages altered inside by somebody who can sign or seal them again: every field of an encoding, changed in every way
//! that still decodes. For the tests of each message's meaning.

/// One field of an encoding.
#[derive(Clone)]
struct Field {
    tag: u64,
    value: Value,
}

#[derive(Clone)]
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

/// An altered encoding and what was done to it, for the message of a failing test.
pub(crate) struct Altered {
    pub(crate) what: String,
    pub(crate) bytes: Vec<u8>,
}

/// Lists alterations of every field: left out, neighbouring and extreme numbers, a bit flipped at either end, one byte
/// more or less, all zeros. None of them is the original.
pub(crate) fn every_field_altered(valid: &[u8]) -> Vec<Altered> {
    let fields = parse(valid);
    let mut all = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        let mut put = |what: &str, value: Option<Value>| {
            let mut changed = fields.clone();
            match value {
                Some(value) => changed[at].value = value,
                None => drop(changed.remove(at)),
            }
            let bytes = write(&changed);
            if bytes != valid {
                all.push(Altered { what: format!("field {} {what}", field.tag >> 3), bytes });
            }
        };
        put("left out", None);
        match &field.value {
            Value::Number(n) => {
                for other in [n.wrapping_add(1), n.wrapping_sub(1), n ^ 0x80, u64::from(u32::MAX), u64::MAX, 1] {
                    // A zero is written by leaving the field out, which stands above.
                    if other != 0 {
                        put(&format!("{other}"), Some(Value::Number(other)));
                    }
                }
            }
            Value::Bytes(bytes) => {
                let edit = |how: fn(&mut Vec<u8>)| {
                    let mut bytes = bytes.clone();
                    how(&mut bytes);
                    Some(bytes).filter(|b| !b.is_empty()).map(Value::Bytes)
                };
                for (what, how) in [
                    ("first bit flipped", (|b| b[0] ^= 0x80) as fn(&mut Vec<u8>)),
                    ("last bit flipped", |b| *b.last_mut().unwrap() ^= 1),
                    ("one byte less", |b| b.truncate(b.len() - 1)),
                    ("one byte more", |b| b.push(7)),
                    ("all zeros", |b| b.fill(0)),
                ] {
                    if let Some(value) = edit(how) {
                        put(what, Some(value));
                    }
                }
            }
        }
    }
    assert!(all.len() >= fields.len() && !fields.is_empty(), "a sample with fields is needed");
    all
}

fn parse(mut bytes: &[u8]) -> Vec<Field> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = number(&mut bytes);
        let value = match tag & 7 {
            0 => Value::Number(number(&mut bytes)),
            2 => {
                let len = number(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(len);
                bytes = rest;
                Value::Bytes(value.to_vec())
            }
            other => panic!("wire type {other} is not used"),
        };
        fields.push(Field { tag, value });
    }
    fields
}

fn number(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            break;
        }
    }
    value
}

fn write(fields: &[Field]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in fields {
        prost::encoding::encode_varint(field.tag, &mut bytes);
        match &field.value {
            Value::Number(n) => prost::encoding::encode_varint(*n, &mut bytes),
            Value::Bytes(value) => {
                prost::encoding::encode_varint(value.len() as u64, &mut bytes);
                bytes.extend_from_slice(value);
            }
        }
    }
    bytes
}

#[test]
fn every_field_of_a_message_is_altered_in_ways_that_still_decode() {
    use crate::{proto::wire::Sum, wire};
    let valid = wire::encode(&Sum { kind: 3, body: vec![1, 2, 3] });
    assert_eq!(write(&parse(&valid)), valid);
    let altered = every_field_altered(&valid);
    for field in ["field 1 ", "field 2 "] {
        assert!(altered.iter().filter(|a| a.what.starts_with(field)).count() >= 5);
    }
    let decodes = altered.iter().filter(|a| wire::decode::<Sum>(&a.bytes, 100).is_ok()).count();
    assert!(decodes >= altered.len() - 2, "only {decodes} of {} still decode", altered.len());
    assert!(altered.iter().all(|a| a.bytes != valid));
}
