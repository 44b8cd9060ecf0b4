//! The settings of this extension, as the operator wrote them.

use serde::de::DeserializeOwned;

use crate::Error;
use crate::bindings::host::peat::host::config;

/// The settings as `T`. The host checked them against the settings schema of the metadata; what `T` asks beyond that
/// fails as `invalid-config`.
pub fn settings<T: DeserializeOwned>() -> Result<T, Error> {
    parse(&config::settings())
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::invalid_config("settings", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        #[serde(default)]
        depth: u32,
    }

    #[test]
    fn an_unknown_setting_is_named() {
        assert_eq!(parse::<Settings>(r#"{"depth":2}"#).unwrap().depth, 2);
        let error = parse::<Settings>(r#"{"deep":2}"#).err().unwrap();
        assert!(matches!(error.kind, crate::ErrorKind::InvalidConfig));
        assert!(error.message.contains("deep"), "{}", error.message);
    }
}
