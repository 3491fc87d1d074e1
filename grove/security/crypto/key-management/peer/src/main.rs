//! The crate age (rage's library) on the workloads of key_management_bench.cpp.
//! With `--encrypt` or `--decrypt` it is a small rage, for the proof:
//!   peer --encrypt KEYS IN OUT [--armor]    one recipient a line, age or SSH
//!   peer --decrypt KEYS IN OUT              an age key file or an SSH private key
//!   peer --encrypt-passphrase WORD IN OUT, peer --decrypt-passphrase WORD IN OUT

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::secrecy::SecretString;
use age::{Decryptor, Encryptor, Identity, Recipient};
use grove_bench::{Meter, Parameters, SplitMix64, Workload};
use std::error::Error;
use std::fs;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

type Any<T> = Result<T, Box<dyn Error>>;

fn recipients(path: &str) -> Any<Vec<Box<dyn Recipient>>> {
    let mut all: Vec<Box<dyn Recipient>> = vec![];
    for line in fs::read_to_string(path)?.lines() {
        if line.starts_with("ssh-") {
            let key: age::ssh::Recipient = line.parse().map_err(|e| format!("{e:?}"))?;
            all.push(Box::new(key));
        } else if line.starts_with("age1") {
            all.push(Box::new(line.parse::<age::x25519::Recipient>()?));
        }
    }
    Ok(all)
}

fn identities(path: &str) -> Any<Vec<Box<dyn Identity>>> {
    let text = fs::read_to_string(path)?;
    if text.starts_with("-----BEGIN") {
        return Ok(vec![Box::new(age::ssh::Identity::from_buffer(Cursor::new(text), None)?)]);
    }
    let mut all: Vec<Box<dyn Identity>> = vec![];
    for line in text.lines().filter(|line| line.starts_with("AGE-")) {
        all.push(Box::new(line.parse::<age::x25519::Identity>()?));
    }
    Ok(all)
}

fn encrypt(recipients: &[Box<dyn Recipient>], input: &str, output: &str, armor: bool) -> Any<()> {
    let encryptor = Encryptor::with_recipients(recipients.iter().map(|r| r.as_ref()))?;
    let format = if armor { Format::AsciiArmor } else { Format::Binary };
    let file = io::BufWriter::new(fs::File::create(output)?);
    let mut writer = encryptor.wrap_output(ArmoredWriter::wrap_output(file, format)?)?;
    io::copy(&mut fs::File::open(input)?, &mut writer)?;
    writer.finish()?.finish()?.flush()?;
    Ok(())
}

fn decrypt(identities: &[Box<dyn Identity>], input: &str, output: &str) -> Any<()> {
    let reader = ArmoredReader::new(io::BufReader::new(fs::File::open(input)?));
    let decryptor = Decryptor::new_buffered(io::BufReader::new(reader))?;
    let mut reader = decryptor.decrypt(identities.iter().map(|i| i.as_ref()))?;
    io::copy(&mut reader, &mut fs::File::create(output)?)?;
    Ok(())
}

fn tool(arguments: &[String]) -> Any<()> {
    let [mode, keys, input, output, rest @ ..] = arguments else { return Err("four arguments".into()) };
    match mode.as_str() {
        "--encrypt" => encrypt(&recipients(keys)?, input, output, rest.iter().any(|r| r == "--armor")),
        "--decrypt" => decrypt(&identities(keys)?, input, output),
        "--encrypt-passphrase" => {
            let mut recipient = age::scrypt::Recipient::new(SecretString::from(keys.clone()));
            recipient.set_work_factor(10);
            encrypt(&[Box::new(recipient)], input, output, false)
        }
        "--decrypt-passphrase" => {
            decrypt(&[Box::new(age::scrypt::Identity::new(SecretString::from(keys.clone())))], input, output)
        }
        _ => Err("no such mode".into()),
    }
}

fn plaintext(p: &Parameters, size: usize) -> Vec<u8> {
    let mut random = SplitMix64::new(p.seed);
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Memory that both sides write into again and again, touched beforehand.
struct Fixed<'a>(&'a mut [u8], usize);
impl Write for Fixed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0[self.1..self.1 + bytes.len()].copy_from_slice(bytes);
        self.1 += bytes.len();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn seal(key: &age::x25519::Recipient, plain: &[u8], out: &mut [u8], format: Format) -> usize {
    let encryptor = Encryptor::with_recipients(std::iter::once(key as _)).unwrap();
    let mut fixed = Fixed(out, 0);
    let armor = ArmoredWriter::wrap_output(&mut fixed, format).unwrap();
    let mut writer = encryptor.wrap_output(armor).unwrap();
    writer.write_all(plain).unwrap();
    writer.finish().unwrap().finish().unwrap();
    fixed.1
}

fn seal_binary(key: &age::x25519::Recipient, plain: &[u8], out: &mut [u8]) -> usize {
    let encryptor = Encryptor::with_recipients(std::iter::once(key as _)).unwrap();
    let mut fixed = Fixed(out, 0);
    let mut writer = encryptor.wrap_output(&mut fixed).unwrap();
    writer.write_all(plain).unwrap();
    writer.finish().unwrap();
    fixed.1
}

fn open(key: &age::x25519::Identity, file: &[u8], out: &mut [u8]) {
    let decryptor = Decryptor::new_buffered(file).unwrap();
    let mut reader = decryptor.decrypt(std::iter::once(key as _)).unwrap();
    reader.read_exact(out).unwrap();
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
}

fn open_armored(key: &age::x25519::Identity, file: &[u8], out: &mut [u8]) {
    let decryptor = Decryptor::new_buffered(io::BufReader::new(ArmoredReader::new(file))).unwrap();
    let mut reader = decryptor.decrypt(std::iter::once(key as _)).unwrap();
    reader.read_exact(out).unwrap();
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
}

fn bulk(p: &Parameters, m: &mut Meter, armored: bool, encrypting: bool) {
    let key = age::x25519::Identity::generate();
    let plain = plaintext(p, p.size);
    let mut file = vec![1u8; p.size + p.size / 2 + 65536];
    let mut back = vec![1u8; p.size];
    let run = |file: &mut [u8]| match armored {
        true => seal(&key.to_public(), &plain, file, Format::AsciiArmor),
        false => seal_binary(&key.to_public(), &plain, file),
    };
    let size = if encrypting { m.measure(|| run(&mut file)) } else { run(&mut file) };
    let read = |back: &mut [u8]| match armored {
        true => open_armored(&key, &file[..size], back),
        false => open(&key, &file[..size], back),
    };
    if encrypting { read(&mut back) } else { m.measure(|| read(&mut back)) }
    m.work(p.size as u64);
    m.checksum.bytes(&back);
}

fn encrypt_bulk(p: &Parameters, m: &mut Meter) {
    bulk(p, m, false, true)
}
fn decrypt_bulk(p: &Parameters, m: &mut Meter) {
    bulk(p, m, false, false)
}
fn armor_bulk(p: &Parameters, m: &mut Meter) {
    bulk(p, m, true, true)
}
fn unarmor_bulk(p: &Parameters, m: &mut Meter) {
    bulk(p, m, true, false)
}

/// Sealing and opening messages of 1 KiB.
fn messages(p: &Parameters, m: &mut Meter) {
    let key = age::x25519::Identity::generate();
    let recipient = key.to_public();
    let plain = plaintext(p, 1024);
    for _ in 0..p.size {
        let back = m.measure(|| {
            let mut file = Vec::with_capacity(2048);
            let encryptor = Encryptor::with_recipients(std::iter::once(&recipient as _)).unwrap();
            let mut writer = encryptor.wrap_output(&mut file).unwrap();
            writer.write_all(&plain).unwrap();
            writer.finish().unwrap();
            let mut back = Vec::with_capacity(1024);
            let decryptor = Decryptor::new_buffered(&file[..]).unwrap();
            decryptor.decrypt(std::iter::once(&key as _)).unwrap().read_to_end(&mut back).unwrap();
            back
        });
        m.checksum.bytes(&back);
    }
    m.work(p.size as u64);
}

/// Reading 4 KiB at random places of a file of 64 MiB.
fn seek(p: &Parameters, m: &mut Meter) {
    let key = age::x25519::Identity::generate();
    let plain = plaintext(p, 64 << 20);
    let mut file = vec![1u8; plain.len() + plain.len() / 2];
    let size = seal_binary(&key.to_public(), &plain, &mut file);
    let decryptor = Decryptor::new_buffered(Cursor::new(&file[..size])).unwrap();
    let mut reader = decryptor.decrypt(std::iter::once(&key as _)).unwrap();
    let mut random = SplitMix64::new(p.seed);
    let mut part = [0u8; 4096];
    for _ in 0..p.size {
        let at = random.below((plain.len() - part.len()) as u64);
        m.measure(|| {
            reader.seek(SeekFrom::Start(at)).unwrap();
            reader.read_exact(&mut part).unwrap();
        });
        m.checksum.bytes(&part);
    }
    m.work(p.size as u64);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let tool_modes = ["--encrypt", "--decrypt", "--encrypt-passphrase", "--decrypt-passphrase"];
    if arguments.first().is_some_and(|mode| tool_modes.contains(&mode.as_str())) {
        if let Err(problem) = tool(&arguments) {
            eprintln!("{problem}");
            std::process::exit(1);
        }
        return;
    }
    let bulk_size = 256 << 20;
    grove_bench::run(&[
        Workload { name: "encrypt", default_size: bulk_size, unit: "B", run: encrypt_bulk },
        Workload { name: "decrypt", default_size: bulk_size, unit: "B", run: decrypt_bulk },
        // The crate has no threads of its own.
        Workload { name: "encrypt-two-threads", default_size: bulk_size, unit: "B", run: encrypt_bulk },
        Workload { name: "decrypt-two-threads", default_size: bulk_size, unit: "B", run: decrypt_bulk },
        Workload { name: "encrypt-armored", default_size: bulk_size / 4, unit: "B", run: armor_bulk },
        Workload { name: "decrypt-armored", default_size: bulk_size / 4, unit: "B", run: unarmor_bulk },
        Workload { name: "messages", default_size: 2000, unit: "message", run: messages },
        Workload { name: "seek", default_size: 5000, unit: "read", run: seek },
    ]);
}
