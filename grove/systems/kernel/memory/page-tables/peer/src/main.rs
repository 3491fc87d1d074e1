//! The crate `x86_64`'s OffsetPageTable on the workloads of page_tables_bench.cpp,
//! on an arena in user space: the same operations leave the same table bytes.

use grove_bench::{Meter, Parameters, SplitMix64, Workload};
use x86_64::structures::paging::mapper::{
    MapToError, MapperFlush, TranslateResult, UnmapError,
};
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageSize, PageTable, PageTableFlags, PhysFrame,
    Size1GiB, Size2MiB, Size4KiB, Translate,
};
use x86_64::{PhysAddr, VirtAddr};

const FRAME: usize = 4096;
const TABLE: PageTableFlags = PageTableFlags::PRESENT
    .union(PageTableFlags::WRITABLE)
    .union(PageTableFlags::USER_ACCESSIBLE);
const DATA: PageTableFlags = PageTableFlags::PRESENT
    .union(PageTableFlags::WRITABLE)
    .union(PageTableFlags::NO_EXECUTE);

/// Frames in order from zeroed, touched memory; frame 0 is the root.
struct Arena {
    memory: *mut u8,
    layout: std::alloc::Layout,
    next: usize,
    count: usize,
}

impl Arena {
    fn new(count: usize) -> Self {
        let layout = std::alloc::Layout::from_size_align(count * FRAME, 2 << 20).unwrap();
        let memory = unsafe { std::alloc::alloc(layout) };
        unsafe { std::ptr::write_bytes(memory, 0, count * FRAME) };
        Self { memory, layout, next: 1, count }
    }
    fn table(&mut self) -> OffsetPageTable<'static> {
        unsafe {
            OffsetPageTable::new(
                &mut *(self.memory as *mut PageTable),
                VirtAddr::new(self.memory as u64),
            )
        }
    }
    fn fold(&self, meter: &mut Meter) {
        let used = unsafe { std::slice::from_raw_parts(self.memory, self.next * FRAME) };
        meter.checksum.bytes(used);
    }
}
impl Drop for Arena {
    fn drop(&mut self) {
        unsafe { std::alloc::dealloc(self.memory, self.layout) };
    }
}
unsafe impl FrameAllocator<Size4KiB> for Arena {
    fn allocate_frame(&mut self) -> Option<PhysFrame<Size4KiB>> {
        if self.next == self.count {
            return None;
        }
        let frame = PhysFrame::containing_address(PhysAddr::new((self.next * FRAME) as u64));
        self.next += 1;
        Some(frame)
    }
}

fn page<S: PageSize>(virt: u64) -> Page<S> {
    Page::from_start_address(VirtAddr::new(virt)).unwrap()
}
fn frame<S: PageSize>(phys: u64) -> PhysFrame<S> {
    PhysFrame::from_start_address(PhysAddr::new(phys)).unwrap()
}

/// `size` distinct pages, shuffled, in runs over 64 GiB: `spread` pages apart.
fn addresses(parameters: &Parameters) -> Vec<u64> {
    let mut random = SplitMix64::new(parameters.seed);
    let mut list: Vec<u64> =
        (0..parameters.size as u64).map(|i| (1 << 39) - (1 << 30) + i * 4 * FRAME as u64).collect();
    for i in (1..list.len()).rev() {
        list.swap(i, random.below(i as u64 + 1) as usize);
    }
    list
}
fn frames_for(parameters: &Parameters) -> usize {
    parameters.size / 128 + 64
}

fn map_all(arena: &mut Arena, list: &[u64]) -> u64 {
    let mut table = arena.table();
    let mut mapped = 0;
    for &virt in list {
        let result = unsafe {
            table.map_to_with_table_flags(page::<Size4KiB>(virt), frame(virt & 0xffff_ffff), DATA, TABLE, arena)
        };
        if let Ok(flush) = result {
            flush.ignore();
            mapped += 1;
        }
    }
    mapped
}

fn map(parameters: &Parameters, meter: &mut Meter) {
    let list = addresses(parameters);
    let mut arena = Arena::new(frames_for(parameters));
    let mapped = meter.measure(|| map_all(&mut arena, &list));
    meter.work(mapped);
    arena.fold(meter);
}

fn translate(parameters: &Parameters, meter: &mut Meter) {
    let list = addresses(parameters);
    let mut arena = Arena::new(frames_for(parameters));
    map_all(&mut arena, &list);
    let table = arena.table();
    let sum = meter.measure(|| {
        let mut sum = 0u64;
        for &virt in &list {
            if let TranslateResult::Mapped { frame, offset, flags } = table.translate(VirtAddr::new(virt + 0x123)) {
                sum = sum
                    .wrapping_add(frame.start_address().as_u64() + offset)
                    .wrapping_add(flags.bits() & 0xfff0_0000_0000_0ffe);
            }
        }
        sum
    });
    meter.work(list.len() as u64);
    meter.checksum.word(sum);
}

fn unmap(parameters: &Parameters, meter: &mut Meter) {
    let list = addresses(parameters);
    let mut arena = Arena::new(frames_for(parameters));
    map_all(&mut arena, &list);
    let mut table = arena.table();
    let sum = meter.measure(|| {
        let mut sum = 0u64;
        for &virt in &list {
            if let Ok((frame, flush)) = table.unmap(page::<Size4KiB>(virt)) {
                flush.ignore();
                sum = sum.wrapping_add(frame.start_address().as_u64());
            }
        }
        sum
    });
    meter.work(list.len() as u64);
    meter.checksum.word(sum);
    arena.fold(meter);
}

fn protect(parameters: &Parameters, meter: &mut Meter) {
    let list = addresses(parameters);
    let mut arena = Arena::new(frames_for(parameters));
    map_all(&mut arena, &list);
    let mut table = arena.table();
    meter.measure(|| {
        for &virt in &list {
            let flags = PageTableFlags::PRESENT | PageTableFlags::USER_ACCESSIBLE;
            if let Ok(flush) = unsafe { table.update_flags(page::<Size4KiB>(virt), flags) } {
                flush.ignore();
            }
        }
    });
    meter.work(list.len() as u64);
    arena.fold(meter);
}

const START: u64 = (1 << 39) - (1 << 30) + 5 * FRAME as u64;

fn map_range(parameters: &Parameters, meter: &mut Meter) {
    let mut arena = Arena::new(parameters.size / 512 + 64);
    let mut table = arena.table();
    meter.measure(|| {
        for i in 0..parameters.size as u64 {
            let at = i * FRAME as u64;
            unsafe {
                table.map_to_with_table_flags(page::<Size4KiB>(START + at), frame(at), DATA, TABLE, &mut arena)
            }
            .unwrap()
            .ignore();
        }
    });
    meter.work(parameters.size as u64);
    arena.fold(meter);
}

fn unmap_range(parameters: &Parameters, meter: &mut Meter) {
    let mut arena = Arena::new(parameters.size / 512 + 64);
    let mut table = arena.table();
    for i in 0..parameters.size as u64 {
        let at = i * FRAME as u64;
        unsafe { table.map_to_with_table_flags(page::<Size4KiB>(START + at), frame(at), DATA, TABLE, &mut arena) }
            .unwrap()
            .ignore();
    }
    let sum = meter.measure(|| {
        let mut sum = 0u64;
        for i in 0..parameters.size as u64 {
            let (frame, flush) = table.unmap(page::<Size4KiB>(START + i * FRAME as u64)).unwrap();
            flush.ignore();
            sum = sum.wrapping_add(frame.start_address().as_u64());
        }
        sum
    });
    meter.work(parameters.size as u64);
    meter.checksum.word(sum);
    arena.fold(meter);
}

/// Codes as the C++ side folds them: 0 done, 1 taken, 2 a larger page, 3 absent.
fn map_code<S: PageSize>(result: Result<MapperFlush<S>, MapToError<S>>) -> u64 {
    match result {
        Ok(flush) => {
            flush.ignore();
            0
        }
        Err(MapToError::PageAlreadyMapped(_)) => 1,
        Err(MapToError::ParentEntryHugePage) => 2,
        Err(MapToError::FrameAllocationFailed) => 4,
    }
}
fn unmap_code<S: PageSize>(result: Result<(PhysFrame<S>, MapperFlush<S>), UnmapError>) -> u64 {
    match result {
        Ok((frame, flush)) => {
            flush.ignore();
            frame.start_address().as_u64()
        }
        Err(UnmapError::ParentEntryHugePage) => 2,
        Err(UnmapError::PageNotMapped) => 3,
        Err(_) => 5,
    }
}

/// Random maps and unmaps of all sizes, most of which meet something: the two
/// sides must agree on every result and every byte.
fn mixed(parameters: &Parameters, meter: &mut Meter) {
    let mut random = SplitMix64::new(parameters.seed);
    let mut arena = Arena::new(4096);
    let mut table = arena.table();
    let sum = meter.measure(|| {
        let mut sum = 0u64;
        for _ in 0..parameters.size {
            let word = random.next();
            let virt = (1 << 39) - (1 << 31)
                + (word & 3) * (1 << 30)
                + (word >> 2 & 7) * (1 << 21)
                + (word >> 5 & 15) * FRAME as u64;
            let phys = (word >> 16 & 0xffff) << 30;
            let flags = PageTableFlags::PRESENT
                | if word >> 32 & 1 != 0 { PageTableFlags::WRITABLE } else { PageTableFlags::empty() }
                | if word >> 33 & 1 != 0 { PageTableFlags::NO_EXECUTE } else { PageTableFlags::empty() };
            let insert = word >> 34 & 1 != 0;
            let a = &mut arena;
            let code = unsafe {
                match (word >> 35 & 7, insert) {
                    (0, true) => map_code(table.map_to_with_table_flags(page::<Size1GiB>(virt >> 30 << 30), frame(phys), flags, TABLE, a)),
                    (0, false) => unmap_code(table.unmap(page::<Size1GiB>(virt >> 30 << 30))),
                    (1 | 2, true) => map_code(table.map_to_with_table_flags(page::<Size2MiB>(virt >> 21 << 21), frame(phys), flags, TABLE, a)),
                    (1 | 2, false) => unmap_code(table.unmap(page::<Size2MiB>(virt >> 21 << 21))),
                    (_, true) => map_code(table.map_to_with_table_flags(page::<Size4KiB>(virt), frame(phys), flags, TABLE, a)),
                    (_, false) => unmap_code(table.unmap(page::<Size4KiB>(virt))),
                }
            };
            sum = sum.rotate_left(1) ^ code;
        }
        sum
    });
    meter.work(parameters.size as u64);
    meter.checksum.word(sum);
    arena.fold(meter);
}

fn main() {
    grove_bench::run(&[
        Workload { name: "map", default_size: 1_000_000, unit: "page", run: map },
        Workload { name: "translate", default_size: 1_000_000, unit: "page", run: translate },
        Workload { name: "unmap", default_size: 1_000_000, unit: "page", run: unmap },
        Workload { name: "protect", default_size: 1_000_000, unit: "page", run: protect },
        Workload { name: "map-range", default_size: 1_000_000, unit: "page", run: map_range },
        Workload { name: "unmap-range", default_size: 1_000_000, unit: "page", run: unmap_range },
        Workload { name: "mixed", default_size: 1_000_000, unit: "op", run: mixed },
    ]);
}
