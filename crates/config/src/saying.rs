//! What is said of files: in English words, and by codes with figures, so that a page can say it in its reader's language.
//!
//! What comes again and again has a code in the catalogue [`Saying`]. What is said in one place only goes by the codes `words` and `filled`:
//! the English words, and what stands in their gaps `{}`, are their figures, and a page finds its own words by the English ones.

use std::fmt;

use serde_json::{Value, json};

use crate::problem::printable;

tollhouse_units::catalogue! {
    /// What is wrong, what was expected in its place, and how to go on.
    pub enum Saying;

    words => Words { words: String } "{words}";

    // The text of a file, before anything is read in it.
    file_too_large => FileTooLarge {} "the file is too large";
    file_empty => FileEmpty {} "nothing stands in the file";
    file_encoding => FileEncoding {} "the file is not UTF-8 text from here on";
    save_encoding => SaveEncoding {} "save it with the encoding UTF-8";
    at_most_size => AtMostSize { size: String } "at most {size}";

    // YAML.
    yaml => Yaml { error: String } "not valid YAML: {error}";
    yaml_tab => YamlTab {} "indent with spaces, not with tabs";
    yaml_star => YamlStar {} "a text that begins with `*` must be quoted";
    yaml_star_or_and => YamlStarOrAnd {} "a text that begins with `*` or `&` must be quoted";
    yaml_quote => YamlQuote {} "is a quote missing? Inside of \"…\", write \\\\ for a backslash";
    yaml_quote_or_comma => YamlQuoteOrComma {} "is a quote or a comma missing?";
    yaml_flow => YamlFlow {}
        "is a bracket or a comma missing? Inside of {{ }} and [ ], quote values with `{{`, `}}`, `,` or `: `, such as \"${{NAME}}\"";
    yaml_colon => YamlColon {} "is the line indented like its neighbours? A value with `: ` in it must be quoted";
    yaml_line => YamlLine {} "is the line indented like its neighbours, and does it read `key: value`?";
    yaml_bracket_or_quote => YamlBracketOrQuote {} "is a bracket or a quote missing, here or in the line before?";
    yaml_character => YamlCharacter {} "a text that begins with this character must be quoted";
    yaml_value => YamlValue {} "is a value or a bracket missing here?";
    second_document => SecondDocument {} "a second document begins here";
    one_document => OneDocument {} "one document";
    no_document_line => NoDocumentLine {} "take out the line `---`";
    tag => Tag {} "a YAML tag stands here";
    no_tag => NoTag {} "a value without a tag";
    quote_exclamation => QuoteExclamation {} "a text that begins with `!` must be quoted";
    too_many_values => TooManyValues {} "the file holds too many values, those repeated by aliases included";
    alias_inside => AliasInside {} "an alias stands inside of the value that it repeats";
    too_deep => TooDeep {} "lists and mappings are nested too deep here";
    at_most_levels => AtMostLevels { most: usize } "at most {most} levels";
    at_most => AtMost { most: u64 } "at most {most}";
    key_no_text => KeyNoText {} "a key is a list or a mapping";
    text_as_key => TextAsKey {} "a text as the key";
    quote_braces => QuoteBraces {} "quote values such as \"${{NAME}}\" inside of {{ }}";
    key_twice => KeyTwice { key: String } "key `{key}` is given twice";
    key_once => KeyOnce { line: usize } "each key once, and it stands in line {line} already";

    // Keys.
    key_unknown => KeyUnknown { key: String } "unknown key {key}";
    key_missing => KeyMissing { key: String } "key `{key}` is missing";

    // The kind of a value.
    stands_list => StandsList {} "a list stands here";
    stands_mapping => StandsMapping {} "a mapping (keys with values) stands here";
    stands_nothing => StandsNothing {} "nothing stands here";
    stands_value => StandsValue {} "a single value stands here";
    no_value => NoValue {} "there is no value";
    use_brackets => UseBrackets {} "put it in brackets: [ … ]";
    use_dashes => UseDashes {} "write `- ` before each value, or put them in brackets: [ … ]";

    // Words and names.
    not_known => NotKnown { text: String } "`{text}` is not known here";
    one_of => OneOf { names: String } "one of: {names}";
    did_you_mean => DidYouMean { name: String } "did you mean `{name}`?";
    name_has => NameHas { name: String, character: char } "`{name}` has the character {character:?}";
    name_begins => NameBegins { name: String } "`{name}` does not begin with a letter or digit";
    name_long => NameLong { most: usize } "the name is longer than {most} characters";

    // Truth values, numbers, times and sizes.
    not_truth => NotTruth { text: String } "`{text}` is not a truth value";
    truth => Truth {} "true or false";
    quoted => Quoted {} "a text in quotes stands here";
    no_quotes => NoQuotes {} "take the quotes away";
    not_whole => NotWhole { text: String } "`{text}` is not a whole number";
    too_small => TooSmall { number: u64 } "{number} is too small";
    too_large => TooLarge { number: u64 } "{number} is too large";
    whole => Whole {} "a whole number, at least 1";
    whole_to => WholeTo { most: u64 } "a whole number from 1 to {most}";
    unit_no_number => UnitNoNumber {} "it does not begin with a whole number";
    unit_missing => UnitMissing {} "the unit is missing";
    unit_unknown => UnitUnknown { unit: String } "`{unit}` is not a unit";
    unit_too_large => UnitTooLarge {} "the number is too large";
    zero_time => ZeroTime {} "a duration of zero stands here";
    a_time => ATime {} "a duration such as 250ms, 30s, 5m or 24h";
    zero_size => ZeroSize {} "a size of zero stands here";
    a_size => ASize {} "a size such as 512, 8MiB or 12GB";
    time_short => TimeShort {} "so short is too short";
    time_long => TimeLong {} "so long is too long";
    at_least_time => AtLeastTime { least: String } "at least {least}";
    at_most_time => AtMostTime { most: String } "at most {most}";
    from_to => FromTo { from: String, to: String } "from {from} to {to}";
    no_json => NoJson { text: String } "`{text}` cannot be written as JSON";
    finite => Finite {} "a finite number";

    // How many things there are.
    count_stands => CountStands { count: usize, things: String } "{count} {things} stand here";
    at_most_things => AtMostThings { most: usize, things: String } "at most {most} {things}";
    one_to_things => OneToThings { most: usize, things: String } "1 to {most} {things}";

    // Secrets, paths and the environment.
    home_of_shell => HomeOfShell {} "`~` is the shell's";
    write_home => WriteHome {} "write ${{HOME}} instead";
    secret_file => SecretFile { path: String, error: String } "cannot take the secret from {path}: {error}";
    secret_odd => SecretOdd {} "the secret holds a space, a line break or another unusual character";
    variable_open => VariableOpen {} "`${{` has no `}}`";
    variable_name => VariableName { name: String } "`{name}` is not the name of a variable";
    variable_missing => VariableMissing { name: String } "the environment has no variable {name}";
    variable_form => VariableForm {} "${{NAME}} or ${{NAME:-default}}";
    variable_default => VariableDefault { name: String } "set it, or give a default: ${{{name}:-default}}";
    variable_dollar => VariableDollar {} "where `${{` is meant as it is, write `$${{`";
}

/// One thing that is said. It has no `Display`, so that nobody makes words without a code of it by mistake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Said {
    words: String,
    code: Value,
}

impl Said {
    /// Words of another catalogue with their code, as its `to_json` gives it.
    pub fn coded(words: &str, code: Value) -> Self {
        Self { words: printable(words), code }
    }

    /// Words with gaps `{}` and what stands in them, for what is said in one place only.
    pub fn filled(words: &'static str, gaps: &[&dyn fmt::Display]) -> Self {
        let gaps: Vec<String> = gaps.iter().map(|gap| printable(&gap.to_string())).collect();
        let mut parts = words.split("{}");
        let mut said = parts.next().unwrap_or_default().to_owned();
        for (at, part) in parts.enumerate() {
            said.push_str(gaps.get(at).map_or("{}", String::as_str));
            said.push_str(part);
        }
        Self::coded(&said, json!({"code": "filled", "figures": {"words": words, "gaps": gaps}}))
    }

    /// A key with what is expected of its value.
    pub(crate) fn key_with(key: &str, expected: &Self) -> Self {
        let code = json!({"code": "key_with", "figures": {"key": key, "expected": expected.code}});
        Self::coded(&format!("{key}: {}", expected.words), code)
    }

    /// In English.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// `{"code": …, "figures": {…}}`.
    pub fn code(&self) -> &Value {
        &self.code
    }
}

impl From<Saying> for Said {
    fn from(saying: Saying) -> Self {
        Self::coded(&saying.to_string(), saying.to_json())
    }
}

impl From<String> for Said {
    fn from(words: String) -> Self {
        Saying::Words { words: printable(&words) }.into()
    }
}

/// Words that are said in one place only, such as a literal or an error.
impl<T: fmt::Display + ?Sized> From<&T> for Said {
    fn from(words: &T) -> Self {
        words.to_string().into()
    }
}

impl From<tollhouse_units::UnitError> for Said {
    fn from(error: tollhouse_units::UnitError) -> Self {
        use tollhouse_units::UnitError;
        match error {
            UnitError::NoNumber => Saying::UnitNoNumber {},
            UnitError::NoUnit => Saying::UnitMissing {},
            UnitError::UnknownUnit(unit) => Saying::UnitUnknown { unit },
            UnitError::TooLarge => Saying::UnitTooLarge {},
        }
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_code_carries_its_figures_and_the_rest_its_words() {
        let said = Said::from(Saying::KeyMissing { key: "url".to_owned() });
        assert_eq!(said.words(), "key `url` is missing");
        assert_eq!(*said.code(), json!({"code": "key_missing", "figures": {"key": "url"}}));
        let said = Said::from("a path\u{1b}");
        assert_eq!(*said.code(), json!({"code": "words", "figures": {"words": "a path "}}));
        let said = Said::filled("`{}` is no {}", &[&"a", &"host"]);
        assert_eq!(said.words(), "`a` is no host");
        assert_eq!(
            *said.code(),
            json!({"code": "filled", "figures": {"words": "`{}` is no {}", "gaps": ["a", "host"]}})
        );
        assert_eq!(
            Said::from(Saying::VariableDefault { name: "A".to_owned() }).words(),
            "set it, or give a default: ${A:-default}"
        );
    }
}
