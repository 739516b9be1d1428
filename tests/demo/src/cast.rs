//! The workspaces of the demo, their people and their customers.

/// A workspace of the platform: a managed service provider.
pub struct Workspace {
    /// Its name, as in the audit log.
    pub name: &'static str,
    /// Its share of all events, in percent.
    pub share: usize,
    /// Domain of its e-mail addresses.
    pub domain: &'static str,
    /// Its employees; the first one is its administrator.
    pub people: &'static [&'static str],
    /// Ids of its customers.
    pub customers: &'static [&'static str],
    /// First three bytes of its office's addresses.
    pub network: &'static str,
}

/// All workspaces, the largest first.
pub const WORKSPACES: &[Workspace] = &[
    Workspace {
        name: "northgate-it",
        share: 55,
        domain: "northgate-it.example",
        people: &[
            "maya.okafor",
            "tom.hale",
            "priya.raman",
            "lukas.brandt",
            "sofia.marin",
            "daniel.reyes",
            "ines.costa",
            "owen.clarke",
            "yuki.tanaka",
            "fatima.zahra",
            "greg.novak",
            "anna.lindqvist",
        ],
        customers: &[
            "brightsmile-dental",
            "harbor-freight-co",
            "lakeside-clinic",
            "oak-and-iron",
            "pinecrest-schools",
            "redwood-legal",
            "summit-realty",
            "tidewater-credit",
            "union-bakery",
            "westfield-motors",
        ],
        network: "203.0.113",
    },
    Workspace {
        name: "bluepeak-managed",
        share: 28,
        domain: "bluepeak.example",
        people: &["jonas.keller", "rachel.stone", "amir.haddad", "chloe.dubois", "samuel.osei", "nora.bennett"],
        customers: &["alder-accounting", "castle-hotels", "evergreen-farms", "moreau-architects", "vista-optical"],
        network: "198.51.100",
    },
    Workspace {
        name: "kestrel-services",
        share: 12,
        domain: "kestrel.example",
        people: &["helen.ward", "marco.ricci", "leila.karimi", "peter.van.dijk"],
        customers: &["finch-media", "granite-works", "o'hara-logistics"],
        network: "192.0.2",
    },
    Workspace {
        name: "solo-desk",
        share: 5,
        domain: "solodesk.example",
        people: &["ben.carter"],
        customers: &["corner-pharmacy", "juniper-yoga"],
        network: "192.0.2",
    },
];

/// User agents of the browsers in use.
pub const BROWSERS: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/128.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:129.0) Gecko/20100101 Firefox/129.0",
    "PlatformMobile/4.2 (iOS 17.6)",
];

/// Problems of customers: an alert and the affected device.
pub const TROUBLES: &[(&str, &str)] = &[
    ("Disk C: is 95 % full", "server"),
    ("Backup has not completed for 2 days", "server"),
    ("Antivirus definitions are out of date", "workstation"),
    ("Printer \"Front desk\" is offline", "printer"),
    ("Certificate expires in 7 days", "website"),
    ("Mailbox quota exceeded", "mailbox"),
    ("VPN tunnel is down", "firewall"),
    ("Service \"Spooler\" stopped", "server"),
    ("Unusual sign-in location", "account"),
];

/// Rules that the platform runs.
pub const RULES: &[&str] =
    &["ticket-for-critical-alerts", "escalate-vip", "night-shift-routing", "auto-close-printer", "backup-watch"];

/// External systems that the platform writes to.
pub const INTEGRATIONS: &[&str] = &["psa", "rmm", "documentation", "identity"];
