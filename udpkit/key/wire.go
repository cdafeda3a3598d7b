package key

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"slices"
	"time"
)

// Form is how a signed datagram carries its token.
type Form uint8

const (
	// JSON is an object: the token is its last field, "mac".
	JSON Form = iota
	// Text ends in " mac " and the token.
	Text
	// Binary ends in the token's bytes.
	Binary
)

// around returns what stands before and after a token.
func (f Form) around() (before, after string) {
	switch f {
	case JSON:
		return jsonBefore, jsonAfter
	case Text:
		return textBefore, ""
	}
	return "", ""
}

// find returns where the token of a signed datagram is, from at to end, and where what stands
// around it begins. Nothing is verified.
func (f Form) find(b []byte) (cut, at, end int, ok bool) {
	before, after := f.around()
	length := textToken
	if f == Binary {
		length = tokenSize
	}
	end = len(b) - len(after)
	at = end - length
	cut = at - len(before)
	return cut, at, end, cut >= 0 && string(b[cut:at]) == before && string(b[end:]) == after
}

// A datagram of the form Binary is this many bytes longer than its content.
const (
	BinarySigned = tokenSize          // 36
	BinarySealed = sealHead + tagSize // 38
)

const (
	jsonBefore = `,"mac":"`
	jsonAfter  = `"}`
	textBefore = " mac "

	headSize  = 8 + 4 + 8 // session, count, clock
	nonceSize = 8 + 4
	tagSize   = 16
	tokenSize = headSize + tagSize
	textToken = (tokenSize*8 + 5) / 6

	sealByte    = 0xF5 // is in no text in UTF-8
	sealVersion = 1
	sealHead    = 2 + headSize
)

// MaxOverhead is the longest that a datagram is longer than its content, see Sender.Overhead.
const MaxOverhead = len(jsonBefore) + textToken + len(jsonAfter) - len("}")

func sealed(b []byte) bool {
	return len(b) >= sealHead+tagSize && b[0] == sealByte && b[1] == sealVersion
}

// secret is what is derived from one secret for one purpose.
type secret struct {
	mac  hash.Hash
	aead cipher.AEAD
}

func derive(key []byte, purpose string) secret {
	block, err := aes.NewCipher(subkey(key, "seal", purpose))
	if err != nil {
		panic(err) // it does not happen: the length is right
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // likewise
	}
	return secret{hmac.New(sha256.New, subkey(key, "sign", purpose)), aead}
}

// subkey is what a secret gives for one use and purpose.
func subkey(key []byte, use, purpose string) []byte {
	b, err := hkdf.Key(sha256.New, key, nil, "udpkit 1 "+use+" "+purpose, Size)
	if err != nil {
		panic(err) // it does not happen: the length is right
	}
	return b
}

// sign appends the MAC of the parts to dst.
func (s secret) sign(dst []byte, parts ...[]byte) []byte {
	s.mac.Reset()
	for _, p := range parts {
		s.mac.Write(p)
	}
	n := len(dst)
	return s.mac.Sum(dst)[:n+tagSize]
}

// Sender makes datagrams of what a program sends. That of a nil Ring is nil, and leaves what it is
// given as it is. It is not safe for concurrent use.
type Sender struct {
	ring    *Ring
	purpose string
	form    Form
	seal    bool
	of      *[][]byte // what secret is derived from
	secret  secret
	head    [headSize]byte
	sum     [headSize + sha256.Size]byte
	count   uint32
	began   time.Time
	base    int64  // the clock then, in milliseconds of Unix time
	buf     []byte // the last datagram of Datagram
}

// Sender makes a Sender of the Ring. The purpose and the form are the same at the Opener; with seal
// it seals each datagram instead of signing it.
func (r *Ring) Sender(purpose string, form Form, seal bool) *Sender {
	if r == nil {
		return nil
	}
	return &Sender{ring: r, purpose: purpose, form: form, seal: seal}
}

// Overhead returns how many bytes a datagram is longer than its content: 57 for JSON, 53 for Text,
// 36 for Binary, 38 for what is sealed, and 0 for a nil Sender.
func (s *Sender) Overhead() int {
	switch {
	case s == nil:
		return 0
	case s.seal:
		return sealHead + tagSize
	case s.form == JSON:
		return MaxOverhead
	case s.form == Text:
		return len(textBefore) + textToken
	}
	return tokenSize
}

// Datagram returns the datagram with the content, as Append makes it. It is valid until the next
// call.
func (s *Sender) Datagram(content []byte) []byte {
	if s == nil {
		return content
	}
	s.buf = s.Append(s.buf[:0], content)
	return s.buf
}

// Append appends a datagram with the content to dst, [Sender.Overhead] bytes longer than it. For
// the form JSON the content is an object that is not empty and ends in its brace. It allocates
// nothing if dst has room.
func (s *Sender) Append(dst, content []byte) []byte {
	if s == nil {
		return append(dst, content...)
	}
	if keys := s.ring.keys.Load(); keys != s.of {
		s.of, s.secret = keys, derive((*keys)[0], s.purpose)
	}
	if s.count++; s.count == 1 { // also when it has wrapped: a nonce is never used twice
		rand.Read(s.head[:8]) // never fails, see crypto/rand
	}
	binary.BigEndian.PutUint32(s.head[8:], s.count)
	binary.BigEndian.PutUint64(s.head[nonceSize:], s.clock())
	if s.seal {
		dst = append(append(dst, sealByte, sealVersion), s.head[:]...)
		head := dst[len(dst)-sealHead:]
		return s.secret.aead.Seal(dst, s.head[:nonceSize], content, head)
	}
	start := len(dst)
	before, after := s.form.around()
	if s.form == JSON {
		content = content[:len(content)-1] // the brace goes behind the token
	}
	dst = append(append(dst, content...), before...)
	token := append(s.sum[:0], s.head[:]...)
	token = s.secret.sign(token, dst[start:], s.head[:])
	if s.form == Binary {
		return append(dst, token...)
	}
	return append(base64.RawURLEncoding.AppendEncode(dst, token), after...)
}

// clock returns the time in milliseconds. Setting the clock while the program runs changes it only
// if the clock was, or is, far from right; so does a sleep of the machine, which its monotonic
// clock does not count.
func (s *Sender) clock() uint64 {
	now := time.Now()
	at := s.base + now.Sub(s.began).Milliseconds()
	if wall := now.UnixMilli(); s.began.IsZero() || max(wall-at, at-wall) > (MaxAge/2).Milliseconds() {
		s.began, s.base, at = now, wall, wall
	}
	return uint64(at)
}

// Opener checks datagrams and takes the content out of them. That of a nil Ring is nil: it takes
// every datagram as it is. It is not safe for concurrent use.
type Opener struct {
	ring     *Ring
	purpose  string
	form     Form
	of       *[][]byte
	secrets  []secret // the one that fitted last is first
	sessions sessions
	token    [headSize + sha256.Size]byte
	sum      [sha256.Size]byte
	buf      []byte
	refused  Refused
	unsigned func([]byte) bool
}

// OpenerConfig says what an Opener opens.
type OpenerConfig struct {
	// Purpose and Form are those of the Senders.
	Purpose string
	Form    Form
	// Sessions is how many senders are kept apart. When there are more, the one that has been
	// silent for longest is forgotten. Default 1,024.
	Sessions int
	// Repeats has a datagram be taken each time that it comes: where several copies of one are
	// sent, or the content says what came before. Otherwise ErrRepeated refuses it.
	Repeats bool
	// Unsigned reports whether a datagram of the form Binary that no key fits is a whole one
	// without a token, which has no mark to tell. Default: none is, and all such are ErrForged.
	Unsigned func(b []byte) bool
}

// Opener makes an Opener of the Ring.
func (r *Ring) Opener(cfg OpenerConfig) *Opener {
	if r == nil {
		return nil
	}
	return &Opener{ring: r, purpose: cfg.Purpose, form: cfg.Form, sessions: newSessions(cfg), unsigned: cfg.Unsigned}
}

// Open returns the content of a datagram that came at the time of now, signed or sealed. The
// content is valid until the next call, and b is not changed. An error is ErrUnsigned, ErrForged,
// ErrExpired or ErrRepeated, and is counted. It allocates nothing for a sender that is known.
func (o *Opener) Open(b []byte, now time.Time) (content []byte, err error) {
	if o == nil {
		return b, nil
	}
	return o.open(b, now)
}

func (o *Opener) open(b []byte, now time.Time) (content []byte, err error) {
	if keys := o.ring.keys.Load(); keys != o.of {
		o.of, o.secrets = keys, nil
		for _, k := range *keys {
			o.secrets = append(o.secrets, derive(k, o.purpose))
		}
	}
	var head *[headSize]byte
	if sealed(b) {
		content, head, err = o.unseal(b)
	} else {
		content, head, err = o.verify(b)
	}
	if err == nil {
		err = o.sessions.check(head, now)
	}
	o.refused.count(err)
	if err != nil {
		return nil, err
	}
	return content, nil
}

func (o *Opener) unseal(b []byte) ([]byte, *[headSize]byte, error) {
	head := (*[headSize]byte)(b[2:sealHead])
	for i, s := range o.secrets {
		content, err := s.aead.Open(o.buf[:0], head[:nonceSize], b[sealHead:], b[:sealHead])
		if err == nil {
			o.first(i)
			o.buf = content
			return content, head, nil
		}
	}
	return nil, nil, ErrForged
}

func (o *Opener) verify(b []byte) ([]byte, *[headSize]byte, error) {
	cut, at, end, ok := o.form.find(b)
	if !ok {
		return nil, nil, ErrUnsigned
	}
	if o.form == Binary {
		copy(o.token[:], b[at:end])
	} else if n, err := base64.RawURLEncoding.Decode(o.token[:], b[at:end]); err != nil || n != tokenSize {
		return nil, nil, ErrUnsigned
	}
	head := (*[headSize]byte)(o.token[:headSize])
	for i, s := range o.secrets {
		if hmac.Equal(s.sign(o.sum[:0], b[:at], head[:]), o.token[headSize:tokenSize]) {
			o.first(i)
			o.buf = append(o.buf[:0], b[:cut]...)
			if o.form == JSON {
				o.buf = append(o.buf, '}')
			}
			return o.buf, head, nil
		}
	}
	if o.unsigned != nil && o.unsigned(b) {
		return nil, nil, ErrUnsigned
	}
	return nil, nil, ErrForged
}

// first has the i-th secret be tried first the next time.
func (o *Opener) first(i int) {
	if i > 0 {
		s := o.secrets[i]
		o.secrets = slices.Insert(slices.Delete(o.secrets, i, i+1), 0, s)
	}
}

// Refused returns what was refused up to now.
func (o *Opener) Refused() Refused {
	if o == nil {
		return Refused{}
	}
	return o.refused
}
