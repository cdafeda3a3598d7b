package record

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

const (
	// writeEvery is how often it is written. A packet waits for minWindow before that, as an older
	// one may still come: what was read first may be told last. Where packets are told later, as by
	// a role that has read many at once and is slow, it is a little longer than they are late, and
	// maxWindow at most.
	writeEvery = 100 * time.Millisecond
	minWindow  = 100 * time.Millisecond
	maxWindow  = 2 * time.Second
	// chunk is how many bytes are allocated for packets at once.
	chunk = 64 << 10
	// maxWaiting bounds what waits for a slow disk, in bytes. More is left out and counted. From
	// soon on it is not waited for older ones.
	maxWaiting = 16 << 20
	soon       = 8 << 20
)

// The interfaces of a recording, in the order of their numbers.
const (
	receivedName = "received"
	sentName     = "sent"
)

// What is said of each recording.
const (
	application = "udpkit"
	about       = "No capture: the program has kept what it has sent and received. Headers of IP, UDP and TCP are " +
		"rebuilt. Of TCP, each segment is what the program has written or read at once, and the handshake, the " +
		"numbers and the end are made up for it; what the network did is not known. Keys are not recorded."
)

// File is a recording that is being written. Its methods are safe for concurrent use.
type File struct {
	file *os.File
	name string
	own  own
	wake chan struct{} // has room for one: there is a lot to write
	stop chan struct{}
	done chan struct{} // closed when all is written

	// What the goroutine that writes works with.
	ng      *pcapgo.NgWriter // writes to encoded
	encoded encoded
	written int64 // bytes of whole blocks in the file
	kept    []packet

	mu      sync.Mutex
	waiting []packet
	size    int           // of waiting and kept
	room    []byte        // for the next ones
	late    time.Duration // how late packets are told, not long ago
	missed  uint64        // left out since the last one that was not, and why
	why     string
	lost    uint64 // left out in all, and why the last ones were
	cause   string
	closed  bool
	err     error // the last failure to write
}

// packet is one that waits.
type packet struct {
	at      time.Time
	data    []byte // with its headers
	sent    bool
	verdict string
	missed  uint64 // before it, and why
	why     string
}

// perPacket is about how many bytes a packet takes besides its data, here and in the file.
const perPacket = 128

// Create begins a recording, in a file that only its owner can read. It never empties one: if there
// is a file of that name, the recording is beside it, as "name-2.pcapng" for
// "name.pcapng", or the next number that is free; [File.Name] tells. What is no regular file, such
// as a named pipe that Wireshark reads, is written to as it is. Close it.
//
// It never delays who records: what waits for the disk is 16 MiB at the most, and more is left out.
// A disk that is full does not end a recording either: it goes on when there is room again. What is
// missing is counted, and the next packet says so. If the program is killed, the last 200 ms may be
// missing, or 2 s of one that is slow, and the rest can be read.
//
// The packets are in the order of their times, unless one is recorded more than 2 s late, or the
// clock is set back. The file's length has no bound: it grows with all that comes, refused or not.
func Create(name string) (*File, error) {
	file, err := create(name)
	if err != nil {
		return nil, fmt.Errorf("cannot record: %w", err)
	}
	f := &File{file: file, name: file.Name(), own: ownAddresses(), wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	f.ng, err = pcapgo.NewNgWriterInterface(&f.encoded, pcapInterface(receivedName), pcapgo.NgWriterOptions{
		SectionInfo: pcapgo.NgSectionInfo{Hardware: runtime.GOARCH, OS: runtime.GOOS, Application: application, Comment: about},
	})
	if err == nil {
		_, err = f.ng.AddInterface(pcapInterface(sentName))
	}
	if err == nil {
		err = f.flush() // an empty file would be no recording
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot record: %w", err), file.Close())
	}
	go f.write()
	return f, nil
}

// create opens a new file, or what cannot be emptied.
func create(name string) (*os.File, error) {
	extension := filepath.Ext(name)
	beside := name
	for n := 2; n <= maxBeside+1; n++ {
		file, err := os.OpenFile(beside, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if !errors.Is(err, os.ErrExist) {
			return file, err
		}
		if info, err := os.Stat(beside); err == nil && !info.Mode().IsRegular() {
			return os.OpenFile(beside, os.O_WRONLY, 0)
		}
		beside = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, extension), n, extension)
	}
	return nil, fmt.Errorf("%s and %d more beside it exist: choose another name", name, maxBeside-1)
}

// maxBeside is the last number of a file beside another.
const maxBeside = 999

func pcapInterface(name string) pcapgo.NgInterface {
	return pcapgo.NgInterface{
		Name:                name,
		Description:         "what the program has " + name + ", with headers rebuilt",
		LinkType:            layers.LinkTypeRaw,
		TimestampResolution: 9,
	}
}

// encoded are the blocks that are to be written.
type encoded []byte

func (e *encoded) Write(b []byte) (int, error) {
	*e = append(*e, b...)
	return len(b), nil
}

// Name returns the file's name, which is another than that of Create if that existed.
func (f *File) Name() string { return f.name }

// Record appends a datagram, or a segment of a connection.
func (f *File) Record(r service.Recorded) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	if f.size > maxWaiting {
		f.miss(1, "the disk is too slow")
		return
	}
	from, to := r.From, r.To
	if r.Sent {
		from = f.own.facing(from, to)
	} else {
		to = f.own.facing(to, from)
	}
	if late := time.Since(r.At); late > f.late && late < maxWindow {
		f.late = late
	}
	if need := len(r.Payload) + maxHeaders; cap(f.room)-len(f.room) < need {
		f.room = make([]byte, 0, max(chunk, need))
	}
	begin := len(f.room)
	f.room = appendPacket(f.room, from, to, r)
	p := packet{at: r.At, data: f.room[begin:len(f.room):len(f.room)], sent: r.Sent, verdict: r.Verdict, missed: f.missed, why: f.why}
	f.missed, f.why = 0, ""
	f.waiting = append(f.waiting, p)
	if f.size += p.size(); f.size >= soon {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

func (p *packet) size() int { return len(p.data) + perPacket }

// miss counts what is left out, with mu held.
func (f *File) miss(n uint64, why string) {
	f.missed += n
	f.lost += n
	f.why, f.cause = why, why
}

// Missed returns how many datagrams and segments are not recorded, and why the last of them were
// not, as "no space left on device"; 0 and "" if none is missing.
func (f *File) Missed() (count uint64, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost, f.cause
}

// Err returns why nothing can be recorded at the moment, nil if it can.
func (f *File) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Close writes what is left and closes the file. It returns the last failure to write if that was
// the end of the recording, and is idempotent.
func (f *File) Close() error {
	f.mu.Lock()
	if !f.closed {
		f.closed = true
		close(f.stop)
	}
	f.mu.Unlock()
	<-f.done
	return f.Err()
}

// fail notes whether the file can be written.
func (f *File) fail(err error) {
	if err != nil {
		err = fmt.Errorf("cannot record: %w", err)
	}
	f.mu.Lock()
	f.err = err
	f.mu.Unlock()
}

// write writes what is waiting, until the recording is closed.
func (f *File) write() {
	defer close(f.done)
	ticker := time.NewTicker(writeEvery)
	defer ticker.Stop()
	var told []packet
	for ended := false; !ended; {
		lot := false
		select {
		case <-f.wake:
			lot = true
		case <-ticker.C:
		case <-f.stop:
			ended = true
		}
		f.mu.Lock()
		told, f.waiting = f.waiting, told[:0]
		window := min(max(minWindow, f.late*5/4), maxWindow)
		f.late = f.late * 7 / 8
		f.mu.Unlock()
		f.kept = append(f.kept, told...)
		clear(told) // their memory is free once they are written
		slices.SortStableFunc(f.kept, func(a, b packet) int { return a.at.Compare(b.at) })
		n := len(f.kept)
		if now := time.Now(); !ended && n > 0 && !f.kept[n-1].at.After(now) { // else the clock was set back
			limit := now.Add(-window)
			n, _ = slices.BinarySearchFunc(f.kept, limit, func(p packet, limit time.Time) int { return p.at.Compare(limit) })
			if lot {
				n = max(n, len(f.kept)/2)
			}
		}
		f.put(f.kept[:n])
		rest := copy(f.kept, f.kept[n:])
		clear(f.kept[rest:])
		f.kept = f.kept[:rest]
	}
	if err := f.file.Close(); err != nil {
		f.fail(err)
	}
}

// put writes packets, all of them or none.
func (f *File) put(packets []packet) {
	if len(packets) == 0 {
		return
	}
	size, missed := 0, uint64(0)
	for i := range packets {
		p := &packets[i]
		size += p.size()
		missed += p.missed
		f.encode(p)
	}
	err := f.flush()
	f.mu.Lock()
	f.size -= size
	if err != nil {
		f.miss(uint64(len(packets)), reason(err))
		f.missed += missed // those before them are not told of either
	}
	f.mu.Unlock()
	f.fail(err)
}

// reason returns what has failed, without the name of the file.
func reason(err error) string {
	if failed := (*fs.PathError)(nil); errors.As(err, &failed) {
		err = failed.Err
	}
	return err.Error()
}

// encode appends a packet to what is to be written. That is memory, and all of it is right: nothing
// fails.
func (f *File) encode(p *packet) {
	about := gopacket.CaptureInfo{Timestamp: p.at, CaptureLength: len(p.data), Length: len(p.data)}
	if p.sent {
		about.InterfaceIndex = 1
	}
	var options pcapgo.NgPacketOptions // each one is an allocation
	if p.verdict != "" {
		options.Comments = []string{p.verdict}
	}
	if p.missed > 0 {
		options.DropCount = &p.missed
		options.Comments = append(options.Comments, fmt.Sprintf("%d before this one are not recorded: %s", p.missed, p.why))
	}
	_ = f.ng.WritePacketWithOptions(about, p.data, options)
}

// flush writes what is encoded. If that fails the file is as it was, so that it can be read, and
// that it can go on later.
func (f *File) flush() error {
	if err := f.ng.Flush(); err != nil {
		return err
	}
	n, err := f.file.Write(f.encoded)
	f.encoded = f.encoded[:0]
	if err == nil {
		f.written += int64(n)
		return nil
	}
	if undo := f.file.Truncate(f.written); undo == nil {
		_, _ = f.file.Seek(f.written, io.SeekStart)
	}
	return err
}
