//! Places in JSON, by their names with dots; a number is an element of a list.

use serde_json::{Map, Value};

/// Puts a value at a place. Gives whether it did: not where there is something already.
pub fn put(root: &mut Value, path: &str, value: Value) -> bool {
    let mut at = root;
    for part in path.split('.') {
        at = if let Ok(index) = part.parse::<usize>() {
            if at.is_null() {
                *at = Value::Array(Vec::new());
            }
            let Some(list) = at.as_array_mut() else { return false };
            if list.len() <= index {
                list.resize(index + 1, Value::Null);
            }
            &mut list[index]
        } else {
            if at.is_null() {
                *at = Value::Object(Map::new());
            }
            let Some(members) = at.as_object_mut() else { return false };
            members.entry(part).or_insert(Value::Null)
        };
    }
    let is_free = at.is_null();
    if is_free {
        *at = value;
    }
    is_free
}

/// Takes a value out of a place, and the objects around it that are then empty.
pub fn take(root: &mut Value, path: &str) -> Option<Value> {
    let members = root.as_object_mut()?;
    let Some((first, rest)) = path.split_once('.') else { return members.remove(path) };
    let inner = members.get_mut(first)?;
    let taken = take(inner, rest)?;
    if inner.as_object().is_some_and(Map::is_empty) {
        members.remove(first);
    }
    Some(taken)
}

/// The value at a place, by its JSON pointer made of a name with dots.
pub fn at<'v>(root: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(root, |at, part| match part.parse::<usize>() {
        Ok(index) => at.get(index),
        Err(_) => at.get(part),
    })
}
