//! Signs requests as the Standard Webhooks specification says, so that receivers find a library for it.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};

/// What a secret starts with whose rest is the key in base64.
const ENCODED: &str = "whsec_";

/// The value of `webhook-signature`: over id, time and body, so that none of the three can be exchanged.
pub(super) fn sign(secret: &SecretString, id: &str, seconds: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key(secret));
    let tag = hmac::sign(&key, format!("{id}.{seconds}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag.as_ref()))
}

/// The key's bytes: decoded when the secret says that they are encoded, else those of the text.
fn key(secret: &SecretString) -> zeroize::Zeroizing<Vec<u8>> {
    let text = secret.expose_secret();
    let decoded = text
        .strip_prefix(ENCODED)
        .and_then(|encoded| STANDARD.decode(encoded).ok());
    decoded.unwrap_or_else(|| text.as_bytes().to_vec()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's libraries.
    #[test]
    fn published_example_is_signed_alike() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature = sign(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn plain_secrets_sign_with_their_own_bytes() {
        let plain = sign(&"a long secret".into(), "aud_1", 7, "{}");
        let encoded = format!("whsec_{}", STANDARD.encode("a long secret"));
        assert_eq!(sign(&encoded.into(), "aud_1", 7, "{}"), plain);
        assert_ne!(sign(&"a long secret".into(), "aud_1", 8, "{}"), plain);
        assert_ne!(sign(&"a long secret".into(), "aud_2", 7, "{}"), plain);
        assert_ne!(sign(&"whsec_no base64".into(), "aud_1", 7, "{}"), plain);
    }
}
