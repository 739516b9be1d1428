//! The keys whose values are secrets: the two lists of the settings, and the words that only describe a secret.

use std::collections::HashMap;
use std::ffi::CStr;
use std::ops::{BitOr, BitOrAssign};

/// The default of `audit.masked_keys`.
pub const DEFAULT_KEYS: &CStr = c"*password*, *passwd*, *passphrase*, *passcode*, *pwd, *_pass, *_pw, pass, pw, *userpass, *dbpass, *rootpass, *adminpass, *mailpass, *ftppass, *storepass, *keypass, \
*passwort*, *kennwort*, *zugangsdaten, *anmeldedaten, *zugangscode, *sicherheitscode, *bestätigungscode, *bestaetigungscode, *anmeldecode, tan, *_tan, *geheimnis, *geheimer_schlüssel, *privater_schlüssel, *zugangsschlüssel, *zugriffsschlüssel, *api_schlüssel, *wlan_schlüssel, *netzwerkschlüssel, *api_schluessel, *kartennummer, \
*code_de_vérification, *code_de_verification, *code_de_sécurité, *código_de_verificación, *codigo_de_verificacion, *código_de_seguridad, *codice_di_verifica, \
*mot_de_passe*, *_mdp, mdp, *_jeton, jeton_*, *clé_api, *cle_api, *clé_privée, *cle_privee, *clé_secrète, *cle_secrete, *contraseña*, *contrasena*, clave, *clave_secreta, *clave_privada, *clave_api, *clave_de_acceso, *clave_de_api, *clave_de_cifrado, *clave_acceso, *token_de_acceso, *token_acceso, *numero_tarjeta, *numero_de_tarjeta, *_senha_*, *wachtwoord*, *lösenord*, *passord, *adgangskode*, *salasana*, *hasło*, *heslo*, *jelszó*, *şifre, *şifrem, *пароль*, *パスワード*, *パスフレーズ*, *暗証番号, *トークン, *秘密鍵, *api_キー, *密码*, *密碼*, *密钥, *私钥, *令牌, *비밀번호*, \
*secret, *secret_value, *secret_string, *secret_binary, *secret_base32, *secret_text, *token, *token_value, bearer, jwt, *_jwt, *credential, \
*api_key, *api_pass, *private_key, *secret_key, *access_key, *auth_key, *account_key, *shared_key, *signing_key, *encryption_key, *decryption_key, *master_key, *session_key, *subscription_key, *license_key, *app_key, *application_key, *consumer_key, *function_key, *functions_key, *storage_key, *hmac_key, *recovery_key, *admin_key, *root_key, *server_key, *service_key, *webhook_key, *write_key, *sdk_key, *jwt_key, *totp_key, *otp_key, *unseal_key, *vault_key, *deploy_key, *merchant_key, *enrollment_key, *ingest_key, *crypto_key, *cipher_key, *tls_key, *ssl_key, *sas_key, psk, *_psk, *community_string, *snmp_community, *_tok, *_pat, *integration_key, *technician_key, *blowfish_key, *aes_key, *wifi_key, *wpa_key, *wlan_key, *key_data, *key_pem, *key_material, \
authorization, *_authorization, *auth_header, x_auth, *cookie, *sessid, *api_session_id, jsessionid, connect.sid, *net_session_id, *csrf, *xsrf, \
otp, *_otp, totp, *_totp, hotp, *otp_code, *one_time_code, *verification_code, *mfa_code, *2fa_code, *two_factor_code, *sms_code, *security_code, *auth_code, *authorization_code, *access_code, *login_code, *recovery_code, *backup_code, *scratch_code, *reset_code, *device_code, *pairing_code, *alarm_code, *door_code, *gate_code, *entry_code, *safe_code, *integration_code, *code_verifier, pin, *_pin, *pin_code, *pin_block, \
*activation_code, *unlock_code, puk, *_puk, *security_answer, *security_question_answer, *security_questions_answer, *secret_answer, mnemonic, *seed_phrase, *recovery_phrase, saml_response, *assertion, wresult, *access_signature, x_amz_signature, x_goog_signature, \
*card_number, cc_number, cc_num, pan, primary_account_number, cvv*, cvc*, cv2, csc, cvn, card_code, card_verification_value, track_data, track1, track2";

/// The words at the end of a key that describe a secret. The value is then not the secret itself.
const DESCRIBING: &[&str] = &[
    "action",
    "address",
    "age",
    "agent",
    "alg",
    "algorithm",
    "allowed",
    "arn",
    "at",
    "attempt",
    "attempts",
    "audience",
    "by",
    "caption",
    "category",
    "change",
    "changed",
    "changes",
    "check",
    "class",
    "client",
    "comment",
    "consent",
    "count",
    "counts",
    "created",
    "database",
    "date",
    "days",
    "db",
    "default",
    "description",
    "device",
    "disabled",
    "domain",
    "duration",
    "email",
    "enabled",
    "endpoint",
    "engine",
    "env",
    "environment",
    "error",
    "event",
    "exists",
    "expired",
    "expires",
    "expiration",
    "expiry",
    "failed",
    "failures",
    "field",
    "fields",
    "file",
    "filename",
    "fingerprint",
    "flow",
    "format",
    "grant",
    "group",
    "header",
    "hint",
    "history",
    "host",
    "hostname",
    "hours",
    "id",
    "identifier",
    "identity",
    "ids",
    "in",
    "index",
    "invalid",
    "issuer",
    "kid",
    "kind",
    "label",
    "last4",
    "length",
    "level",
    "limit",
    "link",
    "location",
    "login",
    "manager",
    "max",
    "message",
    "method",
    "methods",
    "min",
    "minutes",
    "missing",
    "mode",
    "name",
    "names",
    "namespace",
    "needed",
    "note",
    "notes",
    "number",
    "on",
    "operation",
    "option",
    "options",
    "owner",
    "path",
    "percent",
    "placeholder",
    "policies",
    "policy",
    "port",
    "prefix",
    "present",
    "product",
    "provider",
    "purpose",
    "reason",
    "region",
    "required",
    "requirement",
    "requirements",
    "reset",
    "result",
    "role",
    "roles",
    "rotated",
    "rotation",
    "rule",
    "rules",
    "schema",
    "scheme",
    "scope",
    "scopes",
    "score",
    "seconds",
    "serial",
    "service",
    "set",
    "shown",
    "since",
    "size",
    "source",
    "stale",
    "state",
    "status",
    "store",
    "strategy",
    "strength",
    "suffix",
    "sub",
    "subject",
    "system",
    "tag",
    "tags",
    "target",
    "tenant",
    "thumbprint",
    "time",
    "timeout",
    "timestamp",
    "title",
    "tooltip",
    "total",
    "transports",
    "ttl",
    "type",
    "types",
    "unit",
    "until",
    "updated",
    "uri",
    "url",
    "urls",
    "usage",
    "use",
    "used",
    "user",
    "username",
    "users",
    "uses",
    "valid",
    "validity",
    "vault",
    "vendor",
    "verified",
    "version",
    "visible",
    "workspace",
    "four",
    "httponly",
    "samesite",
    "secure",
    "uid",
    "uuid",
    "plan",
    "order",
    "position",
    "priority",
    "currency",
    "amount",
    "brand",
    "country",
    "holder",
    "month",
    "year",
    "network",
    "funding",
    "bank",
    "model",
    "decision",
    "checked",
    "found",
    "sent",
    "requested",
    "issued",
    "scanned",
    "leaked",
    "compromised",
    "reused",
    "stdin",
    "prompt",
    "outcome",
    // German, French, Spanish, Portuguese, and Japanese.
    "ablauf",
    "am",
    "anzahl",
    "datum",
    "gültig",
    "hinweis",
    "länge",
    "regel",
    "regeln",
    "richtlinie",
    "typ",
    "von",
    "geändert",
    "expire",
    "le",
    "longueur",
    "modifié",
    "par",
    "politique",
    "caducidad",
    "cambiada",
    "estado",
    "fecha",
    "longitud",
    "política",
    "politica",
    "por",
    "tipo",
    "alterada",
    "em",
    "変更日",
    "変更日時",
    "期限",
    "有効期限",
    "ポリシー",
    // Names of files.
    "css",
    "go",
    "html",
    "java",
    "js",
    "json",
    "jsx",
    "log",
    "md",
    "php",
    "py",
    "rb",
    "rs",
    "sh",
    "sql",
    "ts",
    "tsx",
    "txt",
    "vue",
    "xml",
    "yaml",
    "yml",
];

/// The words that make a number of a secret's name a quantity.
const COUNTING: &[&str] = &[
    "allowed",
    "avg",
    "average",
    "budget",
    "cached",
    "completion",
    "cost",
    "count",
    "counts",
    "estimated",
    "input",
    "limit",
    "limits",
    "max",
    "maximum",
    "min",
    "minimum",
    "num",
    "output",
    "per",
    "prompt",
    "quota",
    "reasoning",
    "remaining",
    "stats",
    "statistics",
    "total",
    "totals",
    "usage",
    "used",
];

/// The words before `token` that make it a position in a list, or a piece of a text or design.
const HARMLESS_TOKENS: &[&str] = &[
    "page",
    "next",
    "nextpage",
    "continuation",
    "pagination",
    "paging",
    "cursor",
    "skip",
    "sync",
    "resume",
    "stop",
    "special",
    "eos",
    "bos",
    "pad",
    "unk",
    "mask",
    "design",
    "per",
];

/// The names under which generic values stand, which are also compared with their parent's key in front.
const GENERIC: &[&str] = &[
    "answer",
    "community",
    "code",
    "codes",
    "cryptogram",
    "data",
    "hash",
    "key",
    "keys",
    "material",
    "number",
    "plain",
    "plaintext",
    "phrase",
    "schlüssel",
    "raw",
    "string",
    "text",
    "value",
    "values",
    "pem",
    "binary",
    "id",
];

/// The keys whose value is a secret only if it looks like one.
const WEAK: &[&str] = &[
    "auth",
    "code",
    "sas",
    "ticket",
    "sig",
    "bearertoken",
    "hmac",
    "routingkey",
    "awtenantcode",
    "transactionkey",
    "xovhconsumer",
];

/// The keys of a query string whose value is a secret if it looks like one.
const WEAK_IN_QUERY: &[&str] =
    &["key", "signature", "hash", "s", "t", "h", "sign", "state", "session", "sid", "oobcode", "policy"];

/// The number of cached verdicts. Applications use few keys.
const REMEMBERED_KEYS: usize = 4096;

/// The maximum length of a cached key, in bytes. Longer keys are judged each time, so that the cache stays small.
const REMEMBERED_KEY_BYTES: usize = 200;

/// The maximum length of a key, in bytes. A longer one is no name.
const KEY_BYTES: usize = 1000;

/// The judgement of a key about its value: a set of the constants.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdict(u8);

impl Verdict {
    /// `audit.masked_keys` has the key.
    pub const SECRET: Verdict = Verdict(1);
    /// `audit.unmasked_keys` has the key.
    pub const KEPT: Verdict = Verdict(2);
    /// The key describes the secret that it stands beside.
    pub const DESCRIBES: Verdict = Verdict(4);
    /// A number is a quantity.
    pub const COUNTS: Verdict = Verdict(8);
    /// The parent's key belongs to the name.
    pub const GENERIC: Verdict = Verdict(16);
    /// The value is secret if it looks like one.
    pub const WEAK: Verdict = Verdict(32);
    /// The value is secret if it looks like one and stands in a query string.
    pub const WEAK_IN_QUERY: Verdict = Verdict(64);
    /// The value is that of an HTTP header, and goes on to the end of the line.
    pub const HEADER: Verdict = Verdict(128);

    /// Returns whether the set has all of `other`.
    pub fn has(self, other: Verdict) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Verdict {
    type Output = Verdict;

    fn bitor(self, other: Verdict) -> Verdict {
        Verdict(self.0 | other.0)
    }
}

impl BitOrAssign for Verdict {
    fn bitor_assign(&mut self, other: Verdict) {
        self.0 |= other.0;
    }
}

/// The parsed lists, and the cached verdicts.
#[derive(Default)]
pub struct Keys {
    masked: Vec<Pattern>,
    unmasked: Vec<Pattern>,
    verdicts: HashMap<String, Verdict, foldhash::fast::RandomState>,
}

impl Keys {
    /// Parses the lists of `audit.masked_keys` and `audit.unmasked_keys`.
    pub fn new(masked: &str, unmasked: &str) -> Keys {
        Keys { masked: patterns(masked), unmasked: patterns(unmasked), ..Keys::default() }
    }

    /// Returns whether the list of masked keys is empty. Nothing is masked then.
    pub fn is_empty(&self) -> bool {
        self.masked.is_empty()
    }

    /// Returns what `key` says about its value.
    pub fn verdict(&mut self, key: &str) -> Verdict {
        if key.len() > KEY_BYTES {
            return Verdict::default();
        }
        if let Some(&verdict) = self.verdicts.get(key) {
            return verdict;
        }
        let verdict = self.judge(key);
        if key.len() <= REMEMBERED_KEY_BYTES {
            if self.verdicts.len() == REMEMBERED_KEYS {
                self.verdicts.clear();
            }
            self.verdicts.insert(key.to_owned(), verdict);
        }
        verdict
    }

    /// Returns what `key` says about its value if it stands in `parent`.
    pub fn verdict_in(&mut self, parent: Option<&str>, key: &str) -> Verdict {
        let alone = self.verdict(key);
        match parent {
            Some(parent) if alone.has(Verdict::GENERIC) && !alone.has(Verdict::SECRET) && !parent.is_empty() => {
                let together = self.verdict(&format!("{parent}_{key}"));
                if together.has(Verdict::SECRET) { alone | Verdict::SECRET } else { alone }
            }
            // `{"counts": {"secrets": 4}}`
            Some(parent) if alone.has(Verdict::SECRET) && !alone.has(Verdict::COUNTS) => {
                if self.verdict(parent).has(Verdict::COUNTS) { alone | Verdict::COUNTS } else { alone }
            }
            _ => alone,
        }
    }

    fn judge(&self, key: &str) -> Verdict {
        let name = Name::new(key);
        let mut verdict = Verdict::default();
        let is_in = |list: &[&str]| list.contains(&name.text.as_str());
        if name.forms().any(|form| self.unmasked.iter().any(|pattern| pattern.matches(&form))) {
            return Verdict::KEPT;
        }
        let masked = |form: &Form<'_>| {
            let is_harmless = name.is_harmless_token();
            self.masked.iter().any(|pattern| pattern.matches(form) && !(is_harmless && pattern.start != Edge::Nothing))
        };
        if name.forms().any(|form| masked(&form)) {
            verdict |= Verdict::SECRET;
        }
        if name.describes_from(0) {
            verdict |= Verdict::DESCRIBES;
        }
        if name.text.ends_with("tokens") || name.words().any(|word| COUNTING.contains(&word)) {
            verdict |= Verdict::COUNTS;
        }
        if is_in(GENERIC) {
            verdict |= Verdict::GENERIC;
        }
        if is_in(WEAK) {
            verdict |= Verdict::WEAK;
        }
        if is_in(WEAK_IN_QUERY) {
            verdict |= Verdict::WEAK_IN_QUERY;
        }
        if name.text.ends_with("authorization") || name.text.ends_with("cookie") {
            verdict |= Verdict::HEADER;
        }
        verdict
    }
}

/// A key in lower case, without its separators.
struct Name {
    text: String,
    /// The positions in `text` at which a word begins.
    starts: Vec<usize>,
}

impl Name {
    /// Divides the key into words: at every character that is neither letter nor digit, and before a capital letter.
    fn new(key: &str) -> Name {
        let mut name = Name { text: String::with_capacity(key.len()), starts: Vec::new() };
        let mut previous = ' ';
        let mut characters = key.chars().peekable();
        while let Some(character) = characters.next() {
            if character.is_alphanumeric() {
                let follows_lower = previous.is_lowercase() || previous.is_numeric();
                let precedes_lower = characters.peek().is_some_and(|next| next.is_lowercase());
                let is_camel = character.is_uppercase() && (follows_lower || previous.is_uppercase() && precedes_lower);
                if !previous.is_alphanumeric() || is_camel {
                    name.starts.push(name.text.len());
                }
                name.text.extend(character.to_lowercase());
            }
            previous = character;
        }
        name
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        let ends = self.starts.iter().skip(1).copied().chain([self.text.len()]);
        self.starts.iter().zip(ends).map(|(start, end)| &self.text[*start..end])
    }

    /// Returns whether the name is that of a cursor, or of a token of a text, such as `next_page_token`.
    fn is_harmless_token(&self) -> bool {
        let before = self.text.strip_suffix('s').unwrap_or(&self.text).strip_suffix("token");
        let Some(before) = before.filter(|before| !before.is_empty()) else { return false };
        let word = self.starts.iter().rev().find(|start| **start < before.len()).map_or(0, |start| *start);
        HARMLESS_TOKENS.contains(&&before[word..])
    }

    /// Returns whether the last word, or all of the text from `end` on, describes something.
    fn describes_from(&self, end: usize) -> bool {
        let last = self.starts.last().copied().unwrap_or(0);
        DESCRIBING.contains(&&self.text[end..]) || last >= end && DESCRIBING.contains(&&self.text[last..])
    }

    /// Returns the forms of the name that are compared: itself, without a number at its end, and in the singular.
    fn forms(&self) -> impl Iterator<Item = Form<'_>> {
        let whole = self.text.as_str();
        let bare = whole.trim_end_matches(|c: char| c.is_ascii_digit());
        let singular = if bare.ends_with("ss") { bare } else { bare.strip_suffix('s').unwrap_or(bare) };
        let count = 1 + usize::from(bare != whole) + usize::from(singular != bare);
        let all = if bare == whole { [whole, singular, singular] } else { [whole, bare, singular] };
        all.into_iter().take(count).map(|text| Form { text, name: self })
    }
}

struct Form<'a> {
    text: &'a str,
    name: &'a Name,
}

/// An entry of a list.
struct Pattern {
    text: String,
    start: Edge,
    end: Edge,
}

/// The text that an entry allows before or after its own.
#[derive(Clone, Copy, PartialEq)]
enum Edge {
    Nothing,
    /// `*`: any text.
    Anything,
    /// `*_` or `_*`: nothing, or other words.
    Words,
}

fn patterns(list: &str) -> Vec<Pattern> {
    list.split(',').map(str::trim).map(Pattern::new).filter(|pattern| !pattern.text.is_empty()).collect()
}

impl Pattern {
    fn new(entry: &str) -> Pattern {
        let edge = |star: bool, separator: Option<char>| match (star, separator) {
            (false, _) => Edge::Nothing,
            (true, Some('_' | '-')) => Edge::Words,
            (true, _) => Edge::Anything,
        };
        let inner = entry.trim_matches('*');
        Pattern {
            text: Name::new(inner).text,
            start: edge(entry.starts_with('*'), inner.chars().next()),
            end: edge(entry.ends_with('*'), inner.chars().next_back()),
        }
    }

    /// A `*` at the end does not stand for words that describe a secret.
    fn matches(&self, form: &Form<'_>) -> bool {
        let Form { text, name } = form;
        let start_fits = |at: usize| match self.start {
            Edge::Nothing => at == 0,
            Edge::Anything => true,
            Edge::Words => name.starts.contains(&at),
        };
        let end_fits = |end: usize| match self.end {
            _ if end == text.len() => true,
            Edge::Nothing => false,
            Edge::Anything => !name.describes_from(end),
            Edge::Words => name.starts.contains(&end) && !name.describes_from(end),
        };
        text.match_indices(&self.text).any(|(at, found)| start_fits(at) && end_fits(at + found.len()))
    }
}
