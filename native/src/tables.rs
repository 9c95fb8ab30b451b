//! What the Python side tells the twin: the names that the rules ask for, and for each action its event, already as JSON.

use std::collections::HashSet;

/// What an action decides in every record that has it. The texts are inside of JSON strings.
#[derive(Default, Clone)]
pub struct Event {
    pub name: Vec<u8>,
    pub severity: Vec<u8>,
}

#[derive(Default)]
pub struct Tables {
    /// By the letter of the action.
    pub events: Vec<Event>,
    messages: [bool; 26],
    accounts: HashSet<Vec<u8>>,
    words: HashSet<Vec<u8>>,
}

impl Tables {
    /// `events`: 26, for `A` to `Z`; `messages`: the actions of message records; `words`: in lower case.
    pub fn new(events: Vec<Event>, messages: &str, accounts: Vec<String>, words: Vec<String>) -> Tables {
        let mut tables = Tables { events, ..Tables::default() };
        for letter in messages.bytes().filter(u8::is_ascii_uppercase) {
            tables.messages[usize::from(letter - b'A')] = true;
        }
        tables.accounts = accounts.into_iter().map(String::into_bytes).collect();
        tables.words = words.into_iter().map(String::into_bytes).collect();
        tables
    }

    pub fn is_message(&self, action: u8) -> bool {
        self.messages[usize::from(action - b'A')]
    }

    /// Whether this is an executing account that installations use.
    pub fn is_account(&self, name: &[u8]) -> bool {
        name.len() < 16 && self.accounts.contains(name)
    }

    /// Whether this is a sensitivity or a priority.
    pub fn is_word(&self, name: &[u8]) -> bool {
        name.len() < 32 && self.words.contains(&name.to_ascii_lowercase())
    }

    pub fn event(&self, action: u8) -> &Event {
        &self.events[usize::from(action - b'A')]
    }
}
