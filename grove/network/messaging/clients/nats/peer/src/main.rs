//! async-nats on the workloads of nats_bench.cpp, through a nats-server of its
//! own; and watermelon-proto, a sans-IO NATS codec, on those without a server.

use bytes::{Buf, BufMut, Bytes};
use futures_util::StreamExt;
use grove_bench::{Meter, Parameters, SplitMix64, Workload};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use watermelon_proto::proto::{ClientOp, ServerOp, StreamDecoder, StreamEncoder};

const PAYLOAD: usize = 128;
const SUBJECT: &str = "bench.subject.1";
/// Messages that may be under way, given out in batches. Without such a bound the
/// server may cut a subscriber off that falls 64 MB behind.
const WINDOW: usize = 64_000;
const BATCH: usize = 1_000;

struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server is not installed");
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(2));
        }
        Server { child, url: format!("127.0.0.1:{port}") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn payload(seed: u64) -> Vec<u8> {
    let mut random = SplitMix64::new(seed);
    (0..PAYLOAD / 8).flat_map(|_| random.next().to_le_bytes()).collect()
}

fn first_word(data: &[u8]) -> u64 {
    u64::from_le_bytes(data[..8].try_into().unwrap())
}

fn fold(state: u64, word: u64) -> u64 {
    (state ^ word).rotate_left(29).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn runtime() -> tokio::runtime::Runtime {
    // One thread, as the other side; the multi-threaded runtime costs it more CPU.
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The server has handled all before: `flush` waits for the socket alone.
async fn round_trip(client: &async_nats::Client) {
    let _ = client.request("bench.nobody", Bytes::new()).await;
}

fn publish_subscribe(p: &Parameters, meter: &mut Meter, cpu: bool) {
    let server = Server::start();
    let rt = runtime();
    let data = payload(p.seed);
    let size = p.size;
    let (publisher, mut numbers) = rt.block_on(async {
        let publisher = async_nats::connect(&server.url).await.unwrap();
        let subscriber = async_nats::ConnectOptions::new()
            .subscription_capacity(1 << 20)
            .connect(&server.url)
            .await
            .unwrap();
        let numbers = subscriber.subscribe(SUBJECT).await.unwrap();
        round_trip(&subscriber).await;
        (publisher, numbers)
    });
    let work = || {
        rt.block_on(async {
            let room = std::sync::Arc::new(tokio::sync::Semaphore::new(WINDOW));
            let taken = room.clone();
            let sender = tokio::spawn(async move {
                for i in 0..size as u64 {
                    if i % BATCH as u64 == 0 {
                        taken.acquire_many(BATCH as u32).await.unwrap().forget();
                    }
                    let mut message = data.clone();
                    message[..8].copy_from_slice(&i.to_le_bytes());
                    publisher.publish(SUBJECT, message.into()).await.unwrap();
                }
                publisher.flush().await.unwrap();
            });
            let (mut state, mut bytes) = (0u64, 0usize);
            for i in 1..=size {
                let message = numbers.next().await.unwrap();
                state = fold(state, first_word(&message.payload));
                bytes += message.payload.len();
                if i % BATCH == 0 {
                    room.add_permits(BATCH);
                }
            }
            sender.await.unwrap();
            (state, bytes)
        })
    };
    let (state, bytes) = if cpu { meter.measure_cpu(work) } else { meter.measure(work) };
    meter.checksum.word(state);
    meter.checksum.word(bytes as u64);
    meter.work(size as u64);
}

fn request_reply(p: &Parameters, meter: &mut Meter) {
    let server = Server::start();
    let rt = runtime();
    let data = payload(p.seed);
    let size = p.size;
    let (asker, service, mut questions) = rt.block_on(async {
        let asker = async_nats::connect(&server.url).await.unwrap();
        let service = async_nats::connect(&server.url).await.unwrap();
        let questions = service.subscribe(SUBJECT).await.unwrap();
        round_trip(&service).await;
        (asker, service, questions)
    });
    let state = meter.measure_cpu(|| {
        rt.block_on(async {
            tokio::spawn(async move {
                while let Some(message) = questions.next().await {
                    service.publish(message.reply.unwrap(), message.payload).await.unwrap();
                }
            });
            let mut state = 0u64;
            for i in 0..size as u64 {
                let mut message = data.clone();
                message[..8].copy_from_slice(&i.to_le_bytes());
                let answer = asker.request(SUBJECT, message.into()).await.unwrap();
                state = fold(state, first_word(&answer.payload));
            }
            state
        })
    });
    meter.checksum.word(state);
    meter.work(size as u64);
}

const BLOCK: usize = 10_000;
const PIECE: usize = 65536;

fn decode(p: &Parameters, meter: &mut Meter) {
    let mut data = payload(p.seed);
    let mut wire = Vec::new();
    for i in 0..BLOCK as u64 {
        data[..8].copy_from_slice(&i.to_le_bytes());
        wire.extend_from_slice(format!("MSG {SUBJECT} {} {PAYLOAD}\r\n", i % 7 + 1).as_bytes());
        wire.extend_from_slice(&data);
        wire.extend_from_slice(b"\r\n");
    }
    let state = meter.measure(|| {
        let mut decoder = StreamDecoder::new();
        let mut state = 0u64;
        for _ in 0..p.size.div_ceil(BLOCK) {
            for piece in wire.chunks(PIECE) {
                decoder.read_buf().put_slice(piece);
                while let Some(op) = decoder.decode().unwrap() {
                    let ServerOp::Message { message } = op else { panic!() };
                    state = fold(state, first_word(&message.base.payload));
                    state = fold(state, u64::from(message.subscription_id));
                    state = fold(state, (message.base.payload.len() + message.base.subject.len()) as u64);
                }
            }
        }
        state
    });
    meter.checksum.word(state);
    meter.work(p.size as u64);
}

fn encode(p: &Parameters, meter: &mut Meter) {
    let data = Bytes::from(payload(p.seed));
    let subject = watermelon_proto::Subject::from_static(SUBJECT);
    let mut piece = vec![0u8; 2 * PIECE];
    let (mut state, last) = meter.measure(|| {
        let mut encoder = StreamEncoder::new();
        let mut state = 0u64;
        let mut drain = |encoder: &mut StreamEncoder| {
            let last = encoder.remaining();
            encoder.copy_to_slice(&mut piece[..last]);
            state = fold(fold(state, last as u64), first_word(&piece));
            last
        };
        for _ in 0..p.size {
            encoder.enqueue_write_op(&ClientOp::Publish {
                message: watermelon_proto::MessageBase {
                    subject: subject.clone(),
                    reply_subject: None,
                    headers: watermelon_proto::headers::HeaderMap::new(),
                    payload: data.clone(),
                },
            });
            if encoder.remaining() >= PIECE {
                drain(&mut encoder);
            }
        }
        let last = drain(&mut encoder);
        (state, last)
    });
    for word in piece[..last].chunks_exact(8) {
        state = fold(state, first_word(word));
    }
    meter.checksum.word(state);
    meter.work(p.size as u64);
}

fn main() {
    grove_bench::run(&[
        Workload { name: "publish-subscribe", default_size: 1_000_000, unit: "message", run: |p, m| publish_subscribe(p, m, false) },
        Workload { name: "publish-subscribe-cpu", default_size: 1_000_000, unit: "message", run: |p, m| publish_subscribe(p, m, true) },
        Workload { name: "request-reply-cpu", default_size: 20_000, unit: "request", run: request_reply },
        Workload { name: "decode@watermelon-proto", default_size: 1_000_000, unit: "message", run: decode },
        Workload { name: "encode@watermelon-proto", default_size: 1_000_000, unit: "message", run: encode },
    ]);
}
