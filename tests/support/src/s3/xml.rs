//! As much XML as S3 needs.

/// Text as it stands in an element.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The texts of all elements of this name, in order, without those inside others of the same name.
pub(super) fn elements(document: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts = document.split(&open).skip(1).filter_map(|rest| rest.split_once(&close));
    parts.map(|(text, _)| plain(text)).collect()
}

fn plain(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&#34;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}
