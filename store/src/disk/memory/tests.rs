//! The disk's own promises.

use super::*;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

fn disk(bytes: &[u8]) -> (MemoryDisk, Handle) {
    let disk = MemoryDisk::from_image(bytes.to_vec());
    let handle = disk.handle();
    (disk, handle)
}

#[test]
fn crash_drops_what_was_not_synced_and_kills_the_handle() {
    let (disk, handle) = disk(b"aaaa");
    handle.write(0, b"b").unwrap();
    handle.sync_data().unwrap();
    handle.write(1, b"c").unwrap();
    handle.set_len(6).unwrap();
    handle.write(4, b"dd").unwrap();
    handle.set_len(2).unwrap();
    handle.set_len(3).unwrap();
    assert_eq!(disk.image(), b"bc\0");
    assert_eq!(disk.synced_image(), b"baaa");
    disk.crash();
    assert_eq!(disk.image(), b"baaa");
    assert!(handle.read(0, &mut [0]).is_err() && handle.write(0, b"x").is_err() && handle.sync_data().is_err());
    assert!(disk.handle().read(0, &mut [0]).is_ok());
}

#[test]
fn torn_crash_keeps_synced_bytes_and_whole_sectors() {
    let (mut lost, mut kept, mut torn) = (0, 0, 0);
    for seed in 0..200 {
        let (disk, handle) = disk(&[1; 4096]);
        handle.write(0, &[2; 512]).unwrap();
        handle.sync_data().unwrap();
        handle.write(512, &[3; 3584]).unwrap();
        disk.crash_torn(&mut ChaCha20Rng::seed_from_u64(seed));
        let image = disk.image();
        assert!(image[..512].iter().all(|b| *b == 2));
        assert!(image.chunks(512).all(|sector| sector.iter().all(|b| b == &sector[0])));
        match image.iter().filter(|b| **b == 3).count() {
            0 => lost += 1,
            3584 => kept += 1,
            _ => torn += 1,
        }
    }
    assert!(lost > 10 && kept > 10 && torn > 10, "{lost} lost, {kept} kept, {torn} torn");
}

#[test]
fn faults_come_when_planned_and_go_when_healed() {
    let (disk, handle) = disk(&[0; 8]);
    disk.fail_after(1);
    assert!(handle.read(0, &mut [0]).is_ok());
    assert!(handle.read(0, &mut [0]).is_err() && handle.sync_data().is_err());
    disk.fail_once_after(0);
    assert!(handle.sync_data().is_err() && handle.sync_data().is_ok());
    disk.set_full(true);
    assert_eq!(handle.write(0, b"x").unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(handle.set_len(9).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert!(handle.read(0, &mut [0]).is_ok() && handle.sync_data().is_ok() && handle.set_len(7).is_ok());
    disk.set_full(false);
    assert!(handle.write(0, b"x").is_ok());
    assert_eq!(disk.counts(), Counts { reads: 3, writes: 4, syncs: 4 });
}
