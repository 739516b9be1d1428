//! The signatures of JWTs, with ring. Only public keys can verify: there is no HMAC, and a JWT without a signature is none.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};

/// Lets jsonwebtoken verify with ring.
pub(super) fn install() {
    // Fails if it is installed already.
    let _ = PROVIDER.install_default();
}

static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory: signer, verifier_factory: verifier, key_utils: KeyUtils::new_unimplemented() };

/// How ring verifies an algorithm.
#[derive(Clone, Copy)]
enum Method {
    Rsa(&'static RsaParameters),
    Other(AlgorithmFamily, &'static dyn VerificationAlgorithm),
}

struct RingVerifier {
    algorithm: Algorithm,
    method: Method,
    key: DecodingKey,
}

fn signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let method = method(*algorithm).ok_or(ErrorKind::UnsupportedAlgorithm)?;
    let family = match method {
        Method::Rsa(_) => AlgorithmFamily::Rsa,
        Method::Other(family, _) => family,
    };
    if key.family() != family {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    Ok(Box::new(RingVerifier { algorithm: *algorithm, method, key: key.clone() }))
}

fn method(algorithm: Algorithm) -> Option<Method> {
    Some(match algorithm {
        Algorithm::RS256 => Method::Rsa(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Method::Rsa(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Method::Rsa(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Method::Rsa(&RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Method::Rsa(&RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Method::Rsa(&RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 => Method::Other(AlgorithmFamily::Ec, &ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Method::Other(AlgorithmFamily::Ec, &ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => Method::Other(AlgorithmFamily::Ed, &ED25519),
        _ => return None,
    })
}

/// Returns whether an algorithm signs with a private key.
pub(super) fn is_asymmetric(algorithm: Algorithm) -> bool {
    method(algorithm).is_some()
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match (self.method, self.key.kind()) {
            (Method::Rsa(parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (Method::Other(_, algorithm), DecodingKeyKind::SecretOrDer(key)) => {
                UnparsedPublicKey::new(algorithm, key).verify(message, signature)
            }
            _ => return Err(signature::Error::new()),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::Jwk;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::{install, is_asymmetric};

    /// A signature of these claims with the header `{"alg":…}`. Python's package cryptography made it.
    #[derive(Deserialize)]
    struct Vector {
        alg: String,
        key: Jwk,
        signature: String,
    }

    const CLAIMS: &str = r#"{"iss":"https://login.example.com","aud":"audit","sub":"ada","exp":9999999999}"#;

    fn verifies(vector: &Vector, algorithm: Algorithm, claims: &str) -> bool {
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&["audit"]);
        let [header, claims] = [format!("{{\"alg\":\"{}\"}}", vector.alg), claims.to_owned()].map(encode);
        let key = DecodingKey::from_jwk(&vector.key).unwrap();
        decode::<Value>(format!("{header}.{claims}.{}", vector.signature), &key, &validation).is_ok()
    }

    fn encode(text: String) -> String {
        use base64::Engine;
        base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(text)
    }

    #[test]
    fn signatures_of_another_program_verify_with_their_own_algorithm_alone() {
        install();
        let vectors: Vec<Vector> =
            include_str!("signatures.ndjson").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let algorithms: Vec<Algorithm> = vectors.iter().map(|vector| vector.alg.parse().unwrap()).collect();
        assert_eq!(algorithms.len(), 9);
        for (vector, own) in vectors.iter().zip(&algorithms) {
            assert!(is_asymmetric(*own));
            assert!(verifies(vector, *own, CLAIMS), "{own:?}");
            assert!(!verifies(vector, *own, &CLAIMS.replace("ada", "eve")), "{own:?}");
            for other in algorithms.iter().filter(|other| *other != own) {
                let forged = Vector {
                    alg: json!(other).as_str().unwrap().to_owned(),
                    key: vector.key.clone(),
                    signature: vector.signature.clone(),
                };
                assert!(!verifies(&forged, *other, CLAIMS), "{own:?} as {other:?}");
            }
        }
        for symmetric in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            assert!(!is_asymmetric(symmetric));
        }
    }
}
