//! Values as bytes: little-endian numbers, lengths before lists and text, no names.
//!
//! A codec of our own, because the values are those that the bindings generate, handles among them, and neither can be
//! given the traits of a library. It knows nothing but products, choices and lists; `types.rs` names the fields.
//!
//! Reading is bounded: what is taken in, counted as it lies in memory, may not exceed the budget of the reader, whatever
//! the bytes pretend.

use wasmtime::component::Resource;

/// Most bytes that the values of one frame take in memory.
const BUDGET_BYTES: usize = super::frame::FRAME_BYTES_MAX;

/// A value that travels.
pub(crate) trait Wire: Sized {
    /// Appends its bytes.
    fn write(&self, bytes: &mut Vec<u8>);
    /// Takes it from the front of what is left.
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed>;

    /// Appends the bytes of many.
    fn write_list(items: &[Self], bytes: &mut Vec<u8>) {
        for item in items {
            item.write(bytes);
        }
    }

    /// Takes so many.
    fn read_list(reader: &mut Reader<'_>, count: usize) -> Result<Vec<Self>, Malformed> {
        (0..count).map(|_| Self::read(reader)).collect()
    }
}

/// Bytes that are no value of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("it ends too early")]
    Short,
    #[error("it goes on after its end")]
    Long,
    #[error("it holds more than {BUDGET_BYTES} bytes of values")]
    Budget,
    #[error("it holds text that is not UTF-8")]
    Text,
    #[error("it holds {0}, which is no choice there")]
    Choice(u8),
}

/// What is left to read.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    budget: usize,
}

/// The bytes of a value.
pub(crate) fn encode(value: &impl Wire) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.write(&mut bytes);
    bytes
}

/// The value of exactly these bytes.
pub(crate) fn decode<T: Wire>(bytes: &[u8]) -> Result<T, Malformed> {
    let mut reader = Reader { rest: bytes, budget: BUDGET_BYTES };
    let value = T::read(&mut reader)?;
    if reader.rest.is_empty() { Ok(value) } else { Err(Malformed::Long) }
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The length of a list whose items take `each` bytes in memory. No item is shorter than one byte on the wire, except
    /// those that are nothing at all, which are counted as one byte too.
    fn length(&mut self, each: usize) -> Result<usize, Malformed> {
        let count = u32::read(self)? as usize;
        let bytes = count.checked_mul(each.max(1)).ok_or(Malformed::Budget)?;
        self.budget = self.budget.checked_sub(bytes).ok_or(Malformed::Budget)?;
        if each > 0 && count > self.rest.len() {
            return Err(Malformed::Short);
        }
        Ok(count)
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Wire for $number {
            fn write(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                let taken = reader.take(size_of::<Self>())?;
                Ok(Self::from_le_bytes(taken.try_into().expect("so many bytes were taken")))
            }
        }
    )*};
}

numbers!(u32, u64);

impl Wire for u8 {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.push(*self);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(reader.take(1)?[0])
    }

    fn write_list(items: &[Self], bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(items);
    }

    fn read_list(reader: &mut Reader<'_>, count: usize) -> Result<Vec<Self>, Malformed> {
        Ok(reader.take(count)?.to_vec())
    }
}

impl Wire for bool {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(*self));
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match u8::read(reader)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Malformed::Choice(other)),
        }
    }
}

impl Wire for String {
    fn write(&self, bytes: &mut Vec<u8>) {
        (self.len() as u32).write(bytes);
        bytes.extend_from_slice(self.as_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let length = reader.length(1)?;
        let text = std::str::from_utf8(reader.take(length)?).map_err(|_| Malformed::Text)?;
        Ok(text.to_owned())
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn write(&self, bytes: &mut Vec<u8>) {
        (self.len() as u32).write(bytes);
        T::write_list(self, bytes);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = reader.length(size_of::<T>())?;
        T::read_list(reader, count)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.is_some().write(bytes);
        if let Some(value) = self {
            value.write(bytes);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(if bool::read(reader)? { Some(T::read(reader)?) } else { None })
    }
}

impl<T: Wire, E: Wire> Wire for Result<T, E> {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.is_ok().write(bytes);
        match self {
            Ok(value) => value.write(bytes),
            Err(error) => error.write(bytes),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(if bool::read(reader)? { Ok(T::read(reader)?) } else { Err(E::read(reader)?) })
    }
}

macro_rules! tuples {
    ($(($($name:ident),*);)*) => {$(
        impl<$($name: Wire),*> Wire for ($($name,)*) {
            #[allow(non_snake_case, reason = "a field is named after its type")]
            fn write(&self, _bytes: &mut Vec<u8>) {
                let ($($name,)*) = self;
                $($name.write(_bytes);)*
            }

            fn read(_reader: &mut Reader<'_>) -> Result<Self, Malformed> {
                Ok(($($name::read(_reader)?,)*))
            }
        }
    )*};
}

tuples! {
    ();
    (A);
    (A, B);
    (A, B, C);
    (A, B, C, D);
    (A, B, C, D, E);
}

/// A handle travels as its number in the host's table, which the host looks up as it does for a guest of its own.
impl<T: 'static> Wire for Resource<T> {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.rep().write(bytes);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self::new_own(u32::read(reader)?))
    }
}

/// `record!(Type { field, field })`: a product of its fields in this order.
macro_rules! record {
    ($($record:path { $($field:ident),* $(,)? })*) => {$(
        impl $crate::wire::Wire for $record {
            fn write(&self, _bytes: &mut Vec<u8>) {
                $($crate::wire::Wire::write(&self.$field, _bytes);)*
            }

            fn read(_reader: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::Malformed> {
                Ok(Self { $($field: $crate::wire::Wire::read(_reader)?),* })
            }
        }
    )*};
}
pub(super) use record;

/// `choice!(Type { 0 => Case, 1 => Case(value) })`: a number and what belongs to that case.
macro_rules! choice {
    ($($choice:path { $($number:literal => $case:ident $(($value:ident))?),* $(,)? })*) => {$(
        impl $crate::wire::Wire for $choice {
            fn write(&self, bytes: &mut Vec<u8>) {
                match self {
                    $(Self::$case $(($value))? => {
                        bytes.push($number);
                        $($crate::wire::Wire::write($value, bytes);)?
                    })*
                }
            }

            fn read(reader: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::Malformed> {
                Ok(match <u8 as $crate::wire::Wire>::read(reader)? {
                    $($number => Self::$case $(({
                        let $value = $crate::wire::Wire::read(reader)?;
                        $value
                    }))?,)*
                    other => return Err($crate::wire::Malformed::Choice(other)),
                })
            }
        }
    )*};
}
pub(super) use choice;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_went() {
        let value =
            (7_u32, vec![Some("täg".to_owned()), None], Result::<Vec<u8>, String>::Ok(vec![0, 255]), (true, u64::MAX));
        let bytes = encode(&value);
        assert_eq!(decode::<(u32, Vec<Option<String>>, Result<Vec<u8>, String>, (bool, u64))>(&bytes), Ok(value));
    }

    #[test]
    fn cut_at_any_byte_or_with_one_more_it_is_refused() {
        type Value = (String, Vec<u64>, Option<bool>);
        let bytes = encode(&("name".to_owned(), vec![1_u64, 2], Some(true)));
        for end in 0..bytes.len() {
            assert!(decode::<Value>(&bytes[..end]).is_err(), "{end} bytes were enough");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(decode::<Value>(&longer), Err(Malformed::Long));
    }

    #[test]
    fn what_is_pretended_is_not_allocated() {
        let pretended = encode(&u32::MAX);
        assert_eq!(decode::<String>(&pretended), Err(Malformed::Budget));
        assert_eq!(decode::<Vec<()>>(&pretended), Err(Malformed::Budget));
        assert_eq!(decode::<Vec<u8>>(&encode(&1000_u32)), Err(Malformed::Short));
        // A million empty texts are a megabyte on the wire and far more in memory.
        let mut many = encode(&1_000_000_u32);
        many.resize(many.len() + 4_000_000, 0);
        assert_eq!(decode::<Vec<String>>(&many), Err(Malformed::Budget));
    }

    #[test]
    fn what_is_no_choice_and_no_text_is_refused() {
        assert_eq!(decode::<bool>(&[2]), Err(Malformed::Choice(2)));
        assert_eq!(decode::<String>(&[1, 0, 0, 0, 0xff]), Err(Malformed::Text));
    }
}
