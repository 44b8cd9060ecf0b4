//! Copies of a component under other names: the metadata section is replaced, the code stays.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// Name of the custom section that holds an extension's metadata.
const SECTION: &str = "peat-extension";

/// Bytes before the first section: magic number, version and layer.
const HEADER_BYTES: usize = 8;

/// Answers the component with `name` in place of its extension name, in all its metadata.
pub(super) fn renamed(component: &[u8], name: &str) -> Result<Vec<u8>> {
    ensure!(component.len() > HEADER_BYTES, "a component has a header");
    let (header, mut rest) = component.split_at(HEADER_BYTES);
    let mut result = header.to_vec();
    let mut replaced = false;
    while let Some((&id, after)) = rest.split_first() {
        let (size, body) = read_leb(after)?;
        let (content, next) = body.split_at_checked(size).context("a section ends early")?;
        let section = &rest[..rest.len() - next.len()];
        match custom(id, content)? {
            Some((SECTION, metadata)) => {
                result.extend(section_with(&rename_in(metadata, name)?));
                replaced = true;
            }
            _ => result.extend(section),
        }
        rest = next;
    }
    ensure!(replaced, "the component has no section {SECTION}");
    Ok(result)
}

/// Adds a section without meaning, so that the component has `bytes` bytes, or a few more.
pub(super) fn padded(mut component: Vec<u8>, bytes: usize) -> Vec<u8> {
    const NAME: &str = "padding";
    let mut content = leb(NAME.len());
    content.extend(NAME.as_bytes());
    content.resize(content.len().max(bytes.saturating_sub(component.len())), 0);
    component.push(0);
    component.extend(leb(content.len()));
    component.extend(content);
    component
}

fn rename_in(metadata: &[u8], name: &str) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(metadata)?;
    let value: Value = serde_json::from_str(text)?;
    let old = value["name"].as_str().context("the metadata has a name")?;
    Ok(text.replace(old, name).into_bytes())
}

fn custom(id: u8, content: &[u8]) -> Result<Option<(&str, &[u8])>> {
    if id != 0 {
        return Ok(None);
    }
    let (length, rest) = read_leb(content)?;
    let (name, data) = rest.split_at_checked(length).context("a section name ends early")?;
    Ok(Some((std::str::from_utf8(name)?, data)))
}

fn section_with(metadata: &[u8]) -> Vec<u8> {
    let mut content = leb(SECTION.len());
    content.extend(SECTION.as_bytes());
    content.extend(metadata);
    let mut section = vec![0];
    section.extend(leb(content.len()));
    section.extend(content);
    section
}

fn read_leb(bytes: &[u8]) -> Result<(usize, &[u8])> {
    let mut value = 0;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok((value, &bytes[at + 1..]));
        }
    }
    bail!("a length is not readable")
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_changes_and_the_rest_stays() {
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        component.extend([7, 2, 9, 9]);
        component.extend(section_with(br#"{"name":"@a/b","models":[{"name":"@a/b/c"}]}"#));
        component.extend([8, 1, 5]);
        let renamed = renamed(&component, &format!("@bench/{}", "x".repeat(200))).unwrap();
        assert!(renamed.starts_with(&component[..12]) && renamed.ends_with(&[8, 1, 5]));
        let text = String::from_utf8_lossy(&renamed);
        assert!(text.contains("xxx/c\"") && !text.contains("@a/b"), "{text}");
        assert!(super::renamed(&component[..12], "@a/b").is_err());
        let padded = padded(renamed.clone(), 5000);
        assert!(padded.starts_with(&renamed) && (5000..5010).contains(&padded.len()), "{} bytes", padded.len());
        assert!(super::renamed(&padded, "@a/b").is_ok(), "it is still made of sections");
    }
}
