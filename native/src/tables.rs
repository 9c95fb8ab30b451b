//! What the Python side tells the twin: the names that the rules ask for, and for each action its event, already as JSON.

/// What an action decides in every record that has it. The texts are inside of JSON strings.
#[derive(Default, Clone)]
pub struct Event {
    pub name: Vec<u8>,
    pub severity: Vec<u8>,
}

#[derive(Default)]
pub struct Tables {
    /// By their number (`Wire::event`).
    pub events: Vec<Event>,
    messages: [bool; 26],
    accounts: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
    sensitivities: Vec<Vec<u8>>,
    failures: Vec<Vec<u8>>,
    daemons: Vec<Vec<u8>>,
    /// The optional fields of a line; None where they are told by their shapes.
    pub told: Option<Told>,
}

/// The optional fields of a server whose options are known.
#[derive(Default)]
pub struct Told {
    pub node: bool,
    pub process: bool,
    pub queue_time: bool,
    /// Those behind the recipient, in their order.
    pub fields: Vec<Field>,
    /// How many of them there are before the first that may be any text: what follows is told by its shape.
    pub known: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Notary,
    Filename,
    EnvelopeId,
    MessageId,
    Username,
    Connection,
    Sensitivity,
    Priority,
    Intermediate,
    Initial,
    Filter,
    Reason,
    Diagnostic,
    Transport,
    Application,
    QueueTime,
}

impl Told {
    /// `names`: in the order of `mta_text.OPTIONAL`, of which they are.
    pub fn new(names: &[String]) -> Told {
        let mut told = Told::default();
        let mut free = None;
        for name in names {
            let field = match name.as_str() {
                "node" => {
                    told.node = true;
                    continue;
                }
                "process" => {
                    told.process = true;
                    continue;
                }
                "notary" => Field::Notary,
                "filename" => Field::Filename,
                "envelope_id" => Field::EnvelopeId,
                "message_id" => Field::MessageId,
                "username" => Field::Username,
                "connection" => Field::Connection,
                "sensitivity" => Field::Sensitivity,
                "priority" => Field::Priority,
                "intermediate" => Field::Intermediate,
                "initial" => Field::Initial,
                "filter" => Field::Filter,
                "reason" => Field::Reason,
                "diagnostic" => Field::Diagnostic,
                "transport" => Field::Transport,
                "application" => Field::Application,
                "queue_time" => {
                    told.queue_time = true;
                    Field::QueueTime
                }
                // Of another server: it stands in the delivery status.
                _ => {
                    free = free.or(Some(told.fields.len()));
                    continue;
                }
            };
            if matches!(field, Field::Reason | Field::Diagnostic | Field::Transport) {
                free = free.or(Some(told.fields.len()));
            }
            told.fields.push(field);
        }
        told.known = free.unwrap_or(told.fields.len());
        told
    }
}

impl Tables {
    /// `events`: for `A` to `Z`, and for a login that failed; `messages`: the actions of message records; `words`: sensitivities, and priorities, in lower case; `failures`: what the texts of failed
    /// logins have in them, in lower case; `daemons`: host names of channels.
    pub fn new(
        events: Vec<Event>,
        messages: &str,
        accounts: Vec<String>,
        words: (Vec<String>, Vec<String>),
        failures: Vec<String>,
        daemons: Vec<String>,
        told: Option<Vec<String>>,
    ) -> Tables {
        let mut tables = Tables { events, ..Tables::default() };
        for letter in messages.bytes().filter(u8::is_ascii_uppercase) {
            tables.messages[usize::from(letter - b'A')] = true;
        }
        tables.accounts = accounts.into_iter().map(String::into_bytes).collect();
        tables.sensitivities = words.0.into_iter().map(String::into_bytes).collect();
        tables.words = words.1.into_iter().map(String::into_bytes).chain(tables.sensitivities.iter().cloned()).collect();
        tables.failures = failures.into_iter().map(String::into_bytes).collect();
        tables.daemons = daemons.into_iter().map(String::into_bytes).collect();
        tables.told = told.map(|names| Told::new(&names));
        tables
    }

    pub fn is_message(&self, action: u8) -> bool {
        self.messages[usize::from(action - b'A')]
    }

    /// Whether this is an executing account that installations use.
    pub fn is_account(&self, name: &[u8]) -> bool {
        self.accounts.iter().any(|account| account == name)
    }

    /// Whether this is a sensitivity or a priority.
    pub fn is_word(&self, name: &[u8]) -> bool {
        self.words.iter().any(|word| word.eq_ignore_ascii_case(name))
    }

    pub fn is_sensitivity(&self, name: &[u8]) -> bool {
        self.sensitivities.iter().any(|word| word.eq_ignore_ascii_case(name))
    }

    /// Whether one of these texts tells of a failed login.
    pub fn says_failed(&self, texts: [&[u8]; 2]) -> bool {
        let texts = texts.join(&b' ').to_ascii_lowercase();
        self.failures.iter().any(|words| memchr::memmem::find(&texts, words).is_some())
    }

    /// Whether a channel that needs no network is called so.
    pub fn is_daemon(&self, name: &[u8]) -> bool {
        self.daemons.iter().any(|daemon| daemon == name)
    }
}
