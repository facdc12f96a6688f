use super::*;

fn payload() -> Payload {
    Payload {
        content: vec![1, 2, 3],
        sender_log: LogHead { len: 1, hash: [1; 32] },
        recipient_log: LogHead { len: 2, hash: [2; 32] },
        introduction: Some(Introduction {
            device_log: vec![vec![1; 100], vec![2; 100]],
            reach_secret: ReachSecret::from_bytes([3; 16]),
            hints: vec!["/ip4/192.0.2.1/tcp/1".into()],
            mailboxes: vec![vec![4; 9]],
            name: "alice".into(),
        }),
        extensions: Extensions::default(),
    }
}

#[test]
fn payload_comes_back_as_it_went_with_and_without_introduction() {
    let mut payload = payload();
    assert_eq!(Payload::decode(&payload.encode()), Ok(payload.clone()));
    payload.introduction = None;
    assert_eq!(Payload::decode(&payload.encode()), Ok(payload));
}

#[test]
fn payload_fields_out_of_bounds_are_refused() {
    let change = |change: fn(&mut Payload, &mut Introduction)| {
        let mut payload = payload();
        let mut introduction = payload.introduction.take().unwrap();
        change(&mut payload, &mut introduction);
        payload.introduction = Some(introduction);
        Payload::decode(&payload.encode()).is_ok()
    };
    assert!(change(|_, _| ()));
    assert!(change(|_, i| i.mailboxes.clear()));
    assert!(change(|_, i| i.mailboxes.clear()));
    assert!(!change(|p, _| p.sender_log.len = 0));
    assert!(!change(|p, _| p.recipient_log.len = u64::MAX));
    assert!(!change(|p, _| p.content = vec![1; limits::CONTENT_MAX + 1]));
    assert!(!change(|_, i| i.device_log.clear()));
    assert!(!change(|_, i| i.device_log = vec![vec![1; limits::DEVICE_LOG_MAX + 1]]));
    assert!(!change(|_, i| i.device_log = vec![vec![1]; limits::DEVICE_LOG_OPS_MAX + 1]));
    assert!(!change(|_, i| i.hints = vec!["/".into(); limits::LINK_HINTS_MAX + 1]));
    assert!(!change(|_, i| i.hints = vec!["/".repeat(limits::ADDRESS_MAX + 1)]));
    assert!(!change(|_, i| i.name = "n".repeat(limits::NAME_MAX + 1)));
    assert!(!change(|_, i| i.mailboxes = vec![i.mailboxes[0].clone(); limits::MAILBOXES_MAX + 1]));
    assert!(!change(|_, i| i.mailboxes = vec![vec![4; limits::PASS_MAX + 1]]));
}

#[test]
fn debug_shows_neither_content_nor_secret_nor_name() {
    let shown = format!("{:?} {:?}", payload(), payload().introduction);
    assert!(!shown.contains("alice") && !shown.contains("[3, 3") && !shown.contains("192.0.2.1"), "{shown}");
}
