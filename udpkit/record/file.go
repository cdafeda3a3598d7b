package record

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/gonb-labs/udp-notebooks/udpkit/internal/service"
)

const (
	// writeAt is how many bytes are written at once, and writeEvery how long fewer wait: that much
	// is missing in the file if the program is killed.
	writeAt    = 64 << 10
	writeEvery = 100 * time.Millisecond
	// maxWaiting bounds what waits for a slow disk, in bytes. More is left out and counted.
	maxWaiting = 4 << 20
)

// The interfaces of a recording, in the order of their numbers.
const (
	receivedName = "received"
	sentName     = "sent"
)

// File is a recording that is being written. Its methods are safe for concurrent use.
type File struct {
	file *os.File
	own  own
	wake chan struct{} // has room for one: writeAt is reached
	stop chan struct{}
	done chan struct{} // closed when all is written

	mu      sync.Mutex
	ng      *pcapgo.NgWriter // writes to waiting
	waiting []byte           // whole blocks
	packet  []byte           // room for one
	missed  uint64           // left out since the last one that was not
	closed  bool
	err     error // the first failure to write
}

// Create begins a recording. A new file can be read by its owner only; one that exists is emptied
// and keeps its mode. Close it.
//
// It never delays who records: what waits for the disk is 4 MiB at the most, and more is left out,
// which the next packet says. If the program is killed, the last 100 ms may be missing, and the
// rest can be read.
func Create(name string) (*File, error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot record: %w", err)
	}
	f := &File{file: file, own: ownAddresses(), wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	f.ng, err = pcapgo.NewNgWriterInterface((*waiting)(f), pcapInterface(receivedName), pcapgo.NgWriterOptions{
		SectionInfo: pcapgo.NgSectionInfo{Hardware: runtime.GOARCH, OS: runtime.GOOS, Application: "udpkit"},
	})
	if err == nil {
		_, err = f.ng.AddInterface(pcapInterface(sentName))
	}
	if err == nil {
		err = f.ng.Flush()
	}
	if err == nil { // an empty file would be no recording
		_, err = file.Write(f.waiting)
		f.waiting = f.waiting[:0]
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot record: %w", err), file.Close())
	}
	go f.write()
	return f, nil
}

func pcapInterface(name string) pcapgo.NgInterface {
	return pcapgo.NgInterface{
		Name:                name,
		Description:         "what the program has " + name + ", with IP and UDP headers rebuilt",
		LinkType:            layers.LinkTypeRaw,
		TimestampResolution: 9,
	}
}

// waiting is a File as what its blocks are written to, with mu held.
type waiting File

func (w *waiting) Write(b []byte) (int, error) {
	w.waiting = append(w.waiting, b...)
	return len(b), nil
}

// Record appends a datagram.
func (f *File) Record(r service.Recorded) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.err != nil {
		return
	}
	if len(f.waiting) > maxWaiting {
		f.missed++
		return
	}
	from, to := r.From, r.To
	if r.Sent {
		from = f.own.facing(from, to)
	} else {
		to = f.own.facing(to, from)
	}
	f.packet = appendPacket(f.packet[:0], from, to, r.Payload)
	about := gopacket.CaptureInfo{Timestamp: r.At, CaptureLength: len(f.packet), Length: len(f.packet)}
	if r.Sent {
		about.InterfaceIndex = 1
	}
	var options pcapgo.NgPacketOptions // each one is an allocation
	if r.Verdict != "" {
		options.Comments = []string{r.Verdict}
	}
	if f.missed > 0 {
		missed := f.missed
		options.DropCount, f.missed = &missed, 0
		options.Comments = append(options.Comments, fmt.Sprintf("%d datagrams before this one are not recorded: the disk is too slow", missed))
	}
	// What it is written to is memory, and all of it is right: neither fails.
	f.fail(errors.Join(f.ng.WritePacketWithOptions(about, f.packet, options), f.ng.Flush()))
	if len(f.waiting) >= writeAt {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

// Err returns why nothing is recorded any more, nil as long as it is.
func (f *File) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// Close writes what is left and closes the file. It returns the first failure to write, and is
// idempotent.
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

// fail keeps the first failure, with mu held.
func (f *File) fail(err error) {
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("cannot go on recording: %w", err)
	}
}

// write writes what is waiting, until the recording is closed.
func (f *File) write() {
	defer close(f.done)
	ticker := time.NewTicker(writeEvery)
	defer ticker.Stop()
	var full []byte
	for ended := false; !ended; {
		select {
		case <-f.wake:
		case <-ticker.C:
		case <-f.stop:
			ended = true
		}
		f.mu.Lock()
		full, f.waiting = f.waiting, full[:0]
		f.mu.Unlock()
		if len(full) == 0 {
			continue
		}
		if _, err := f.file.Write(full); err != nil {
			f.mu.Lock()
			f.fail(err)
			f.mu.Unlock()
		}
	}
	err := f.file.Close()
	f.mu.Lock()
	f.fail(err)
	f.mu.Unlock()
}
