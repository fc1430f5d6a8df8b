//! Makes packages of a binary: a Debian package, an archive, a list of what is in it, and their sums.
//!
//! The same binary and the same commit give the same bytes: times are the commit's, owners are root, names are sorted.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::sbom;

pub(crate) const USAGE: &str = "\
  package [--binary FILE] [--out FOLDER] [--quick]
              make tollhouse_VERSION_ARCH.deb, tollhouse-VERSION-ARCH-linux.tar.gz, tollhouse-VERSION.cdx.json and SHA256SUMS
              of a binary that is built (default: target/dist/tollhouse, else target/release/tollhouse); --quick packs
              without compressing
  sbom        print what the program is made of (CycloneDX 1.6)";

/// What can go wrong, in words.
type Failed = Box<dyn std::error::Error>;

/// What is to be made.
struct Order {
    binary: PathBuf,
    out: PathBuf,
    quick: bool,
}

pub(crate) fn run(arguments: &[String]) -> ExitCode {
    match order(arguments).and_then(|order| make(&order)) {
        Ok(made) => {
            for file in made {
                println!("{}", file.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("package: {error}");
            ExitCode::FAILURE
        }
    }
}

fn order(arguments: &[String]) -> Result<Order, Failed> {
    let built = ["target/dist/tollhouse", "target/release/tollhouse"].map(PathBuf::from);
    let [dist, release] = built;
    let mut order =
        Order { binary: if dist.exists() { dist } else { release }, out: "target/packages".into(), quick: false };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().map(PathBuf::from).ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--binary" => order.binary = value()?,
            "--out" => order.out = value()?,
            "--quick" => order.quick = true,
            other => return Err(format!("`{other}` is not known\n\n{USAGE}").into()),
        }
    }
    if !order.binary.is_file() {
        return Err(format!("{} is not there: cargo build --profile dist -p tollhouse", order.binary.display()).into());
    }
    order.binary = fs::canonicalize(&order.binary)?;
    Ok(order)
}

fn make(order: &Order) -> Result<Vec<PathBuf>, Failed> {
    fs::create_dir_all(&order.out)?;
    let stage = order.out.join("stage");
    remove(&stage)?;
    let about = About::of(&order.binary)?;
    let root = stage.join("deb");
    fill(&root, order, &about)?;
    let package = debian(&root, order, &about)?;
    let archive = archive(&stage, &root, order, &about)?;
    let list = order.out.join(format!("tollhouse-{}.cdx.json", about.version));
    fs::write(&list, sbom::text(&about.version)?)?;
    remove(&stage)?;
    let sums = order.out.join("SHA256SUMS");
    let files = [&package, &archive, &list].map(|file| file.file_name().unwrap_or_default().to_owned());
    let told = output(Command::new("sha256sum").args(&files).current_dir(&order.out))?;
    fs::write(&sums, told)?;
    Ok(vec![package, archive, list, sums])
}

/// What is known of the program.
struct About {
    version: String,
    /// As Debian calls it, and as everybody else.
    architecture: (&'static str, &'static str),
    /// The oldest C library that it runs with.
    glibc: String,
    /// The commit's time, in seconds since 1970.
    epoch: String,
}

impl About {
    fn of(binary: &Path) -> Result<Self, Failed> {
        let told = output(Command::new(binary).arg("version"))?;
        let version = told.trim().strip_prefix("tollhouse ").ok_or("the binary does not say its version")?.to_owned();
        let architecture = match std::env::consts::ARCH {
            "x86_64" => ("amd64", "x86_64"),
            "aarch64" => ("arm64", "aarch64"),
            other => return Err(format!("no package is made for {other}").into()),
        };
        let epoch = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(epoch) => epoch,
            Err(_) => output(Command::new("git").args(["log", "-1", "--format=%ct"]))?.trim().to_owned(),
        };
        Ok(Self { version, architecture, glibc: glibc_of(binary)?, epoch })
    }
}

/// The newest version of the C library that the binary asks for, by the names of its symbols' versions.
fn glibc_of(binary: &Path) -> Result<String, Failed> {
    let told = output(Command::new("readelf").args(["--version-info", "--wide", "--"]).arg(binary))?;
    let minors = told
        .split("GLIBC_2.")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok());
    Ok(format!("2.{}", minors.max().ok_or("the binary asks for no version of glibc")?))
}

/// Everything that is installed, as it lies in the file system.
fn fill(root: &Path, order: &Order, about: &About) -> Result<(), Failed> {
    let program = root.join("usr/bin/tollhouse");
    copy(&order.binary, &program, 0o755)?;
    // Of a release nothing is left to strip; of a debug build most of it.
    output(Command::new("strip").args(["--strip-unneeded", "--"]).arg(&program))?;

    let config = root.join("etc/tollhouse/tollhouse.yaml");
    copy(Path::new("packaging/tollhouse.yaml"), &config, 0o640)?;
    fs::set_permissions(root.join("etc/tollhouse"), fs::Permissions::from_mode(0o750))?;

    // The unit is what the program itself says of this configuration.
    let installed = ["export", "systemd", "--installed", "/etc/tollhouse/tollhouse.yaml", "--config"];
    let unit = output(Command::new(&program).args(installed).arg(&config))?;
    // What there is to do by hand is done by the package.
    let unit: String = unit.split_inclusive('\n').filter(|line| !line.starts_with("#  ")).collect();
    write(&root.join("usr/lib/systemd/system/tollhouse.service"), &unit)?;

    let pages = root.join("usr/share/man/man1");
    // The program lets nobody else read what it writes; what is installed is for everybody.
    fs::create_dir_all(&pages)?;
    output(Command::new(&program).args(["man", "--out"]).arg(&pages))?;
    for page in sorted(&pages)? {
        fs::set_permissions(&page, fs::Permissions::from_mode(0o644))?;
        gzip(&page)?;
    }
    for (shell, file) in [
        ("bash", "usr/share/bash-completion/completions/tollhouse"),
        ("zsh", "usr/share/zsh/vendor-completions/_tollhouse"),
        ("fish", "usr/share/fish/vendor_completions.d/tollhouse.fish"),
    ] {
        write(&root.join(file), &output(Command::new(&program).args(["completions", shell]))?)?;
    }
    let documents = root.join("usr/share/doc/tollhouse");
    write(&documents.join("copyright"), COPYRIGHT)?;
    copy(Path::new("CHANGELOG.md"), &documents.join("NEWS"), 0o644)?;
    gzip(&documents.join("NEWS"))?;
    write(&documents.join("changelog"), &changelog(about)?)?;
    gzip(&documents.join("changelog"))?;
    // What Debian's own rules ask and is otherwise here on purpose.
    copy(Path::new("packaging/debian/lintian-overrides"), &root.join("usr/share/lintian/overrides/tollhouse"), 0o644)?;
    write(&documents.join("tollhouse.cdx.json"), &sbom::text(&about.version)?)?;
    Ok(())
}

const COPYRIGHT: &str = "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: tollhouse

Files: *
Copyright: 2026 the authors of tollhouse
License: Apache-2.0
 On Debian systems the whole text is in /usr/share/common-licenses/Apache-2.0.
Comment:
 What it is built of is under the licences that
 /usr/share/doc/tollhouse/tollhouse.cdx.json names for each part; no part is
 under a licence that asks for the sources of all.
";

/// What is new stands in NEWS; a changelog of Debian's names the version.
fn changelog(about: &About) -> Result<String, Failed> {
    let About { version, epoch, .. } = about;
    let when = output(Command::new("date").args(["--utc", "--rfc-email", "--date"]).arg(format!("@{epoch}")))?;
    Ok(format!(
        "tollhouse ({version}) unstable; urgency=medium\n\n  * See NEWS.gz.\n\n -- {MAINTAINER}  {}\n",
        when.trim()
    ))
}

const MAINTAINER: &str = "tollhouse <tollhouse@example.com>";

fn debian(root: &Path, order: &Order, about: &About) -> Result<PathBuf, Failed> {
    let control = root.join("DEBIAN");
    let kilobytes = size(root)?.div_ceil(1024);
    let About { version, architecture: (architecture, _), glibc, epoch } = about;
    write(
        &control.join("control"),
        &format!(
            "\
Package: tollhouse
Version: {version}
Architecture: {architecture}
Maintainer: {MAINTAINER}
Installed-Size: {kilobytes}
Depends: libc6 (>= {glibc}), libgcc-s1, init-system-helpers (>= 1.54), passwd
Recommends: ca-certificates
Suggests: nginx, rsyslog
Section: net
Priority: optional
Description: gateway, audit log and upkeep for self-hosted language models
 The house at the gate of your model: nobody passes unchecked, every token
 is counted. One program that stands before Ollama, llama.cpp, vLLM and the
 like: keys, limits, a fair queue, an audit log that can be searched with
 Elasticsearch's API, a console, alerts, and supervision.
"
        ),
    )?;
    write(&control.join("conffiles"), "/etc/tollhouse/tollhouse.yaml\n")?;
    for script in ["postinst", "prerm", "postrm"] {
        copy(&Path::new("packaging/debian").join(script), &control.join(script), 0o755)?;
    }
    set_times(root, epoch)?;
    let package = order.out.join(format!("tollhouse_{version}_{architecture}.deb"));
    let mut command = Command::new("dpkg-deb");
    command.env("SOURCE_DATE_EPOCH", epoch).args(["--root-owner-group", "--uniform-compression"]);
    command.args(if order.quick { ["-Znone", "-z0"] } else { ["-Zxz", "-z6"] });
    output(command.arg("--build").arg(root).arg(&package))?;
    Ok(package)
}

/// The program with what belongs to it in one folder, for systems without dpkg.
fn archive(stage: &Path, root: &Path, order: &Order, about: &About) -> Result<PathBuf, Failed> {
    let name = format!("tollhouse-{}-{}-linux", about.version, about.architecture.1);
    let folder = stage.join(&name);
    for (from, to) in [
        ("usr/bin/tollhouse", "tollhouse"),
        ("etc/tollhouse/tollhouse.yaml", "tollhouse.yaml"),
        ("usr/lib/systemd/system/tollhouse.service", "tollhouse.service"),
        ("usr/share/man/man1", "man"),
        ("usr/share/bash-completion/completions/tollhouse", "completions/tollhouse.bash"),
        ("usr/share/zsh/vendor-completions/_tollhouse", "completions/_tollhouse"),
        ("usr/share/fish/vendor_completions.d/tollhouse.fish", "completions/tollhouse.fish"),
        ("usr/share/doc/tollhouse/tollhouse.cdx.json", "tollhouse.cdx.json"),
    ] {
        copy_all(&root.join(from), &folder.join(to))?;
    }
    copy(Path::new("LICENSE"), &folder.join("LICENSE"), 0o644)?;
    let links = linked(&folder.join("tollhouse"))?;
    write(
        &folder.join("INSTALL"),
        &format!(
            "\
tollhouse {} for {} Linux, glibc {} or newer.

The program is one file. It links these libraries of the system and no others; TLS, SQLite and zstd are in it:
{links}
  ./tollhouse init && ./tollhouse key create --name me && ./tollhouse up

As a service: copy it to /usr/bin, tollhouse.yaml to /etc/tollhouse, tollhouse.service to /etc/systemd/system, then
  useradd --system --home-dir /var/lib/tollhouse --shell /usr/sbin/nologin tollhouse
  install -d -o tollhouse -g tollhouse -m 0700 /var/lib/tollhouse
  systemctl daemon-reload && systemctl enable --now tollhouse
",
            about.version, about.architecture.1, about.glibc
        ),
    )?;
    set_times(&folder, &about.epoch)?;
    let tar = order.out.join(format!("{name}.tar"));
    let mut command = Command::new("tar");
    command.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=ustar"]);
    command.arg(format!("--mtime=@{}", about.epoch)).arg("--create").arg("--file").arg(&tar);
    output(command.arg("--directory").arg(stage).arg(&name))?;
    let level = if order.quick { "-1" } else { "-9" };
    output(Command::new("gzip").args(["--no-name", "--force", level, "--"]).arg(&tar))?;
    Ok(order.out.join(format!("{name}.tar.gz")))
}

/// Names of the shared libraries that a binary asks for.
fn linked(binary: &Path) -> Result<String, Failed> {
    let told = output(Command::new("readelf").args(["--dynamic", "--"]).arg(binary))?;
    let names = told.lines().filter(|line| line.contains("(NEEDED)")).filter_map(|line| line.split(['[', ']']).nth(1));
    Ok(names.fold(String::new(), |text, name| text + "  " + name + "\n"))
}

/// Gives all files the commit's time.
fn set_times(root: &Path, epoch: &str) -> Result<(), Failed> {
    output(
        Command::new("find")
            .arg(root)
            .args(["-exec", "touch", "--no-dereference"])
            .arg(format!("--date=@{epoch}"))
            .args(["{}", "+"]),
    )?;
    Ok(())
}

fn gzip(file: &Path) -> Result<(), Failed> {
    output(Command::new("gzip").args(["--no-name", "--best", "--force", "--"]).arg(file))?;
    Ok(())
}

fn copy(from: &Path, to: &Path, mode: u32) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return copy(from, to, fs::metadata(from)?.permissions().mode());
    }
    sorted(from)?.iter().try_for_each(|file| copy_all(file, &to.join(file.file_name().unwrap_or_default())))
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, text)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o644))
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

fn size(folder: &Path) -> io::Result<u64> {
    let sizes = sorted(folder)?
        .into_iter()
        .map(|file| if file.is_dir() { size(&file) } else { Ok(fs::metadata(&file)?.len()) });
    sizes.sum()
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What a command says; its own words where it fails.
fn output(command: &mut Command) -> Result<String, Failed> {
    let name = command.get_program().display().to_string();
    let done = command.output().map_err(|error| format!("{name}: {error}"))?;
    if !done.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&done.stderr).trim()).into());
    }
    let mut text = String::new();
    done.stdout.as_slice().read_to_string(&mut text)?;
    Ok(text)
}
