//! Examples of the documents are configurations that can be read.

use std::path::Path;

#[test]
fn every_example_is_a_configuration() {
    for name in ["docs/alerts.md", "README.md", "README.zh-CN.md"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
        let text = std::fs::read_to_string(&path).expect("a document");
        let mut examples = 0;
        for part in text.split("```yaml\n").skip(1) {
            let example = part.split("```").next().expect("a block with an end");
            if let Err(errors) = tollhouse_config::parse(example, name, &|_| None) {
                panic!("{name}: {errors}");
            }
            examples += 1;
        }
        assert!(examples > 0, "{name} has no example");
    }
}
