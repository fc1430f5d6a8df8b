//! One traffic light of all probes: which layer is not well, and why. Pure.

use tollhouse_units::sentence;

use crate::finding::{Layer, Outcome};
use crate::said::Said;

/// A colour of the light.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Colour {
    /// Nothing is known.
    Grey,
    /// All is well.
    Green,
    /// Somebody should look when there is time.
    Yellow,
    /// It does not work.
    Red,
}

impl Colour {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grey => "grey",
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }
}

/// What is known of one probe.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it stands.
    pub layer: Layer,
    /// What was found last, with what is said of it; `None` when it never ran.
    pub last: Option<(Outcome, &'a [Said])>,
    /// Since when that is so, in milliseconds since 1970 UTC.
    pub since_ms: Option<i64>,
}

/// The light.
#[derive(Clone, Debug, PartialEq)]
pub struct Light {
    /// Its colour.
    pub colour: Colour,
    /// The lowest layer that is not well.
    pub layer: Option<Layer>,
    /// Why it has this colour.
    pub said: Vec<Said>,
    /// Each layer for itself, in their order.
    pub layers: Vec<LayerLight>,
}

/// The light of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerLight {
    /// Which one.
    pub layer: Layer,
    /// Its colour.
    pub colour: Colour,
    /// Why it has this colour.
    pub said: Vec<Said>,
    /// How many probes look at it.
    pub probes: usize,
    /// Since when it has this colour, as far as is known.
    pub since_ms: Option<i64>,
}

impl Light {
    /// Why it has this colour, in one sentence.
    pub fn reason(&self) -> String {
        sentence(&self.said)
    }
}

impl LayerLight {
    /// Why it has this colour, in one sentence.
    pub fn reason(&self) -> String {
        sentence(&self.said)
    }
}

/// The light of all these probes.
///
/// A layer that stands on one which does not work is grey: nothing can be said of answers that do not come. The light as a
/// whole has the colour of its worst layer and the reason of the lowest such one, for that is where to begin.
pub fn light(probes: &[Known<'_>]) -> Light {
    let mut layers: Vec<LayerLight> = Layer::ALL.into_iter().map(|layer| of_layer(layer, probes)).collect();
    let fallen = |layers: &[LayerLight], layer| {
        layers.iter().any(|light: &LayerLight| light.layer == layer && light.colour == Colour::Red)
    };
    for (upper, lower, why) in [
        (Layer::Answer, Layer::Process, Said::UnknownProcess {}),
        (Layer::Quality, Layer::Process, Said::UnknownProcess {}),
        (Layer::Quality, Layer::Answer, Said::UnknownAnswer {}),
    ] {
        if !fallen(&layers, lower) {
            continue;
        }
        // What was seen to fail stays said; only what was well before is not known any more.
        let hidden = layers.iter_mut().find(|light| light.layer == upper && light.colour == Colour::Green);
        if let Some(light) = hidden {
            (light.colour, light.said, light.since_ms) = (Colour::Grey, vec![why], None);
        }
    }
    let worst = |colour: Colour| layers.iter().find(|light| light.colour == colour);
    if let Some(light) = worst(Colour::Red).or_else(|| worst(Colour::Yellow)) {
        let (colour, layer, said) = (light.colour, Some(light.layer), light.said.clone());
        return Light { colour, layer, said, layers };
    }
    let seen = probes.iter().filter(|probe| probe.last.is_some_and(|(last, _)| last == Outcome::Ok)).count();
    let (colour, why) = match seen {
        0 => (Colour::Grey, Said::NothingYet {}),
        _ => (Colour::Green, all_well(seen)),
    };
    Light { colour, layer: None, said: vec![why], layers }
}

fn of_layer(layer: Layer, probes: &[Known<'_>]) -> LayerLight {
    let mine: Vec<&Known<'_>> = probes.iter().filter(|probe| probe.layer == layer).collect();
    let probes = mine.len();
    let found = |outcome| mine.iter().filter(move |probe| probe.last.is_some_and(|(last, _)| last == outcome));
    for (outcome, colour) in [(Outcome::Fault, Colour::Red), (Outcome::Warn, Colour::Yellow)] {
        let Some(first) = found(outcome).next() else { continue };
        let mut said = vec![Said::OfProbe { name: first.name.to_owned() }];
        said.extend_from_slice(first.last.map_or(&[], |(_, found)| found));
        let more = found(outcome).count() - 1;
        said.extend((more > 0).then_some(Said::More { count: more }));
        let since_ms = found(outcome).filter_map(|probe| probe.since_ms).min();
        return LayerLight { layer, colour, said, probes, since_ms };
    }
    let well = found(Outcome::Ok).count();
    if well > 0 {
        let since_ms = found(Outcome::Ok).filter_map(|probe| probe.since_ms).max();
        return LayerLight { layer, colour: Colour::Green, said: vec![all_well(well)], probes, since_ms };
    }
    let why = match (probes, found(Outcome::Skipped).count()) {
        (0, _) => Said::NothingLooked {},
        (_, 0) => Said::NothingYet {},
        _ => Said::UsersFirst {},
    };
    LayerLight { layer, colour: Colour::Grey, said: vec![why], probes, since_ms: None }
}

fn all_well(count: usize) -> Said {
    if count == 1 { Said::OneWell {} } else { Said::AllWell { count } }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SO: &[Said] = &[Said::NoCard {}];

    fn known(name: &'static str, layer: Layer, last: Option<Outcome>) -> Known<'static> {
        Known { name, layer, last: last.map(|outcome| (outcome, SO)), since_ms: last.map(|_| 7) }
    }

    #[test]
    fn the_lowest_layer_that_fails_tells_why() {
        use Layer::{Answer, Process, Quality, Resource};
        use Outcome::{Fault, Ok, Skipped, Warn};
        type Case<'a> = (&'a [(Layer, Option<Outcome>)], &'a str, Option<Layer>, [&'a str; 4]);
        let cases: [Case<'_>; 8] = [
            (&[], "grey", None, ["grey"; 4]),
            (&[(Process, None)], "grey", None, ["grey"; 4]),
            (&[(Process, Some(Ok)), (Resource, Some(Ok))], "green", None, ["green", "grey", "grey", "green"]),
            (
                &[(Process, Some(Fault)), (Answer, Some(Ok)), (Quality, Some(Ok))],
                "red",
                Some(Process),
                ["red", "grey", "grey", "grey"],
            ),
            (
                &[(Process, Some(Ok)), (Answer, Some(Fault)), (Quality, Some(Ok)), (Resource, Some(Warn))],
                "red",
                Some(Answer),
                ["green", "red", "grey", "yellow"],
            ),
            (
                &[(Process, Some(Fault)), (Answer, Some(Fault)), (Quality, Some(Fault))],
                "red",
                Some(Process),
                ["red", "red", "red", "grey"],
            ),
            (
                &[(Answer, Some(Ok)), (Quality, Some(Warn))],
                "yellow",
                Some(Quality),
                ["grey", "green", "yellow", "grey"],
            ),
            (&[(Answer, Some(Skipped))], "grey", None, ["grey"; 4]),
        ];
        for (probes, colour, layer, layers) in cases {
            let known: Vec<Known<'_>> = probes.iter().map(|(layer, last)| known("p", *layer, *last)).collect();
            let light = light(&known);
            assert_eq!((light.colour.as_str(), light.layer), (colour, layer), "{probes:?}");
            assert_eq!(
                light.layers.iter().map(|light| light.colour.as_str()).collect::<Vec<_>>(),
                layers,
                "{probes:?}"
            );
        }
    }

    #[test]
    fn the_reason_names_the_probe_and_counts_the_others() {
        let fault = |name| known(name, Layer::Resource, Some(Outcome::Fault));
        assert_eq!(light(&[fault("/"), fault("/data")]).reason(), "/: there is no graphics card here (and 1 more)");
        let well = |name| known(name, Layer::Process, Some(Outcome::Ok));
        assert_eq!(light(&[well("a"), well("b")]).reason(), "all 2 checks are well");
    }
}
