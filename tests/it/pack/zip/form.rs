//! A zip as its records, to be changed one by one.

/// A zip: its entries, its directory and its end, and what should not be between them.
#[derive(Clone)]
pub struct Zip {
    pub before: Vec<u8>,
    pub members: Vec<Member>,
    pub before_directory: Vec<u8>,
    /// The members that the directory lists, in its order.
    pub order: Vec<usize>,
    pub after_directory: Vec<u8>,
    pub end: End,
    pub after: Vec<u8>,
}

#[derive(Clone)]
pub struct Member {
    pub local: Header,
    pub content: Vec<u8>,
    pub descriptor: Vec<u8>,
    pub central: Header,
    pub after: Vec<u8>,
}

/// A header. Lengths are those of what follows; the offset is the right one unless given.
#[derive(Clone, Default)]
pub struct Header {
    pub signature: [u8; 4],
    pub made_by: u16,
    pub version: u16,
    pub flags: u16,
    pub method: u16,
    pub time: u32,
    pub crc: u32,
    pub packed: u32,
    pub bytes: u32,
    pub name: Vec<u8>,
    pub extra: Vec<u8>,
    pub comment: Vec<u8>,
    pub disk: u16,
    pub internal: u16,
    pub external: u32,
    pub offset: Option<u32>,
}

/// The end record; what is not given is right.
#[derive(Clone, Default)]
pub struct End {
    pub disk: u16,
    pub directory_disk: u16,
    pub here: Option<u16>,
    pub entries: Option<u16>,
    pub length: Option<u32>,
    pub start: Option<u32>,
    pub comment_length: Option<u16>,
    pub comment: Vec<u8>,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

impl Header {
    /// A header whose common fields begin at a position, and its length without name and extra field.
    fn parse(bytes: &[u8], at: usize, fixed: usize) -> Self {
        let name = at + fixed;
        let common = if fixed == 46 { at + 6 } else { at + 4 };
        let extra = name + usize::from(u16_at(bytes, common + 22));
        let mut header = Self {
            signature: bytes[at..at + 4].try_into().unwrap(),
            version: u16_at(bytes, common),
            flags: u16_at(bytes, common + 2),
            method: u16_at(bytes, common + 4),
            time: u32_at(bytes, common + 6),
            crc: u32_at(bytes, common + 10),
            packed: u32_at(bytes, common + 14),
            bytes: u32_at(bytes, common + 18),
            name: bytes[name..extra].to_vec(),
            extra: bytes[extra..extra + usize::from(u16_at(bytes, common + 24))].to_vec(),
            ..Self::default()
        };
        if fixed == 46 {
            header.made_by = u16_at(bytes, at + 4);
            header.external = u32_at(bytes, at + 38);
        }
        header
    }

    fn write(&self, central_at: Option<usize>, out: &mut Vec<u8>) {
        out.extend(self.signature);
        if central_at.is_some() {
            out.extend(self.made_by.to_le_bytes());
        }
        [self.version, self.flags, self.method].iter().for_each(|field| out.extend(field.to_le_bytes()));
        [self.time, self.crc, self.packed, self.bytes].iter().for_each(|field| out.extend(field.to_le_bytes()));
        [self.name.len(), self.extra.len()].iter().for_each(|length| out.extend((*length as u16).to_le_bytes()));
        if let Some(at) = central_at {
            for field in [self.comment.len() as u16, self.disk, self.internal] {
                out.extend(field.to_le_bytes());
            }
            out.extend(self.external.to_le_bytes());
            out.extend(self.offset.unwrap_or(at as u32).to_le_bytes());
        }
        out.extend([&self.name[..], &self.extra, &self.comment].concat());
    }
}

impl Zip {
    /// Takes a zip in the form of a pack apart.
    pub fn parse(bytes: &[u8]) -> Self {
        let end = &bytes[bytes.len() - 22..];
        assert!(end.starts_with(b"PK\x05\x06"));
        let mut at = u32_at(end, 16) as usize;
        let mut members = Vec::new();
        for _ in 0..u16_at(end, 10) {
            let central = Header::parse(bytes, at, 46);
            let offset = u32_at(bytes, at + 42) as usize;
            at += 46 + central.name.len();
            let local = Header::parse(bytes, offset, 30);
            let start = offset + 30 + local.name.len();
            let stop = start + central.packed as usize;
            let descriptor = if central.flags == 8 { bytes[stop..stop + 16].to_vec() } else { Vec::new() };
            let content = bytes[start..stop].to_vec();
            members.push(Member { local, content, descriptor, central, after: Vec::new() });
        }
        Self {
            before: Vec::new(),
            order: (0..members.len()).collect(),
            members,
            before_directory: Vec::new(),
            after_directory: Vec::new(),
            end: End::default(),
            after: Vec::new(),
        }
    }

    /// The zip, put together.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = self.before.clone();
        let mut offsets = Vec::new();
        for member in &self.members {
            offsets.push(out.len());
            member.local.write(None, &mut out);
            out.extend([&member.content[..], &member.descriptor, &member.after].concat());
        }
        out.extend(&self.before_directory);
        let start = out.len();
        for index in &self.order {
            self.members[*index].central.write(Some(offsets[*index]), &mut out);
        }
        let length = (out.len() - start) as u32;
        out.extend(&self.after_directory);
        let end = &self.end;
        out.extend(b"PK\x05\x06");
        let entries = end.entries.unwrap_or(self.order.len() as u16);
        for field in [end.disk, end.directory_disk, end.here.unwrap_or(entries), entries] {
            out.extend(field.to_le_bytes());
        }
        out.extend(end.length.unwrap_or(length).to_le_bytes());
        out.extend(end.start.unwrap_or(start as u32).to_le_bytes());
        out.extend(end.comment_length.unwrap_or(end.comment.len() as u16).to_le_bytes());
        out.extend([&end.comment[..], &self.after].concat());
        out
    }

    /// A member by its name.
    pub fn member(&mut self, name: &str) -> &mut Member {
        self.members.iter_mut().find(|member| member.central.name == name.as_bytes()).unwrap()
    }

    /// Adds a stored file.
    pub fn add(&mut self, name: &[u8], content: &[u8]) {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let mut member = self.members[0].clone();
        for header in [&mut member.local, &mut member.central] {
            (header.flags, header.method, header.crc) = (0, 0, crc.sum());
            (header.packed, header.bytes) = (content.len() as u32, content.len() as u32);
            header.name = name.to_vec();
        }
        (member.content, member.descriptor) = (content.to_vec(), Vec::new());
        self.order.push(self.members.len());
        self.members.push(member);
    }
}

impl Member {
    /// Changes both headers.
    pub fn both(&mut self, change: impl Fn(&mut Header)) {
        change(&mut self.local);
        change(&mut self.central);
    }

    /// Replaces the content and its compressed size.
    pub fn repack(&mut self, content: Vec<u8>) {
        self.central.packed = content.len() as u32;
        if self.descriptor.is_empty() {
            self.local.packed = self.central.packed;
        } else {
            self.descriptor[8..12].copy_from_slice(&self.central.packed.to_le_bytes());
        }
        self.content = content;
    }
}
