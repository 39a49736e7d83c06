package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/host/features/blocking"
	"github.com/tidewaiter/tidewaiter/listen/host/features/last"
	"github.com/tidewaiter/tidewaiter/listen/host/features/roster"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// format1 is the first byte of every value but those of the meta bucket.
const format1 = 1

var (
	errShort    = errors.New("the value is too short")
	errTrailing = errors.New("the value goes on behind its end")
)

// decoder takes a value apart. After the first error it yields zeros.
type decoder struct {
	rest []byte
	err  error
}

// decode begins with a value and takes its format byte.
func decode(value []byte) *decoder {
	d := &decoder{rest: value}
	if f := d.byte(); d.err == nil && f != format1 {
		d.err = fmt.Errorf("the value has format %d, this program knows 1", f)
	}
	return d
}

// end returns the first error; anything that is left is one.
func (d *decoder) end() error {
	if d.err == nil && len(d.rest) > 0 {
		d.err = errTrailing
	}
	return d.err
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
	d.rest = nil
}

func (d *decoder) byte() byte {
	if len(d.rest) == 0 {
		d.fail(errShort)
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.fail(errShort)
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) int() int64 {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		d.fail(errShort)
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

// time returns a time of whole seconds.
func (d *decoder) time() time.Time { return time.Unix(d.int(), 0).UTC() }

// take returns the next n bytes, which belong to the value.
func (d *decoder) take(n uint64) []byte {
	if n > uint64(len(d.rest)) {
		d.fail(errShort)
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) string() string { return string(d.take(d.uint())) }

// bytes returns a copy, nil where nil was stored.
func (d *decoder) bytes() []byte {
	n := d.uint()
	if n == 0 {
		return nil
	}
	return append([]byte{}, d.take(n-1)...)
}

// len returns how many elements follow, each at least one byte long.
func (d *decoder) len() int {
	n := d.uint()
	if n > uint64(len(d.rest)) {
		d.fail(errShort)
		return 0
	}
	return int(n)
}

// jid returns an address. Only Check sees whether it was stored in its canonical
// form: to prepare each costs more than everything else that is read of it.
func (d *decoder) jid() stanza.JID {
	s := d.string()
	if d.err != nil {
		return stanza.JID{}
	}
	j, err := stanza.StoredJID(s)
	if err != nil {
		d.fail(err)
	}
	return j
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendBytes tells nil from empty.
func appendBytes(b, v []byte) []byte {
	if v == nil {
		return append(b, 0)
	}
	return append(binary.AppendUvarint(b, uint64(len(v))+1), v...)
}

// Bits of an account's flags.
const (
	accountDisabled = 1 << iota
	accountSCRAM    // there is a map, though it may be empty
	accountRemoving // not in files of earlier versions, which had only Disabled for it
	accountBanned   // what a ban says follows; not in files of earlier versions
)

func encodeAccount(a host.Account) []byte {
	var flags byte
	for bit, set := range map[byte]bool{
		accountDisabled: a.Disabled, accountSCRAM: a.SCRAM != nil, accountRemoving: a.Removing, accountBanned: a.Ban != nil,
	} {
		if set {
			flags |= bit
		}
	}
	b := binary.AppendUvarint([]byte{format1, flags}, a.Revision)
	b = appendBytes(b, a.HA1MD5)
	b = appendBytes(b, a.HA1SHA256)
	b = binary.AppendUvarint(b, uint64(len(a.SCRAM)))
	for _, hash := range slices.Sorted(maps.Keys(a.SCRAM)) {
		k := a.SCRAM[hash]
		b = appendString(b, hash)
		b = appendBytes(b, k.Salt)
		b = binary.AppendVarint(b, int64(k.Iterations))
		b = appendBytes(b, k.StoredKey)
		b = appendBytes(b, k.ServerKey)
	}
	if a.Ban == nil {
		return b
	}
	b = binary.AppendVarint(b, a.Ban.At.Unix())
	b = appendString(b, a.Ban.Reason)
	b = binary.AppendVarint(b, a.Ban.Last.Unix())
	return appendString(b, a.Ban.LastStatus)
}

func decodeAccount(user stanza.JID, value []byte) (host.Account, error) {
	d := decode(value)
	flags := d.byte()
	a := host.Account{
		JID: user, Disabled: flags&accountDisabled != 0, Removing: flags&accountRemoving != 0, Revision: d.uint(),
	}
	a.HA1MD5, a.HA1SHA256 = d.bytes(), d.bytes()
	n := d.len()
	if flags&accountSCRAM != 0 {
		a.SCRAM = make(map[string]stanza.SCRAMKeys)
	} else if n > 0 {
		d.fail(errTrailing)
	}
	for range n {
		hash := d.string()
		k := stanza.SCRAMKeys{Salt: d.bytes(), Iterations: int(d.int())}
		k.StoredKey, k.ServerKey = d.bytes(), d.bytes()
		if d.err != nil {
			break
		}
		a.SCRAM[hash] = k
	}
	if flags&accountBanned != 0 {
		a.Ban = &host.Ban{At: d.time(), Reason: d.string(), Last: d.time(), LastStatus: d.string()}
	}
	return a, d.end()
}

// isRemoving reads one flag of an account.
func isRemoving(value []byte) (bool, error) {
	d := decode(value)
	flags := d.byte()
	return flags&accountRemoving != 0, d.err
}

// Bits of a roster item's flags, above the two of its subscription.
const (
	itemAsk = 1 << (iota + 2)
	itemApproved
	itemListed
)

func encodeItem(i roster.Item) []byte {
	flags := byte(i.Subscription & roster.Both)
	for bit, set := range map[byte]bool{itemAsk: i.Ask, itemApproved: i.Approved, itemListed: i.Listed} {
		if set {
			flags |= bit
		}
	}
	b := binary.AppendUvarint([]byte{format1, flags}, i.Version)
	b = appendString(b, i.Name)
	b = binary.AppendUvarint(b, uint64(len(i.Groups)))
	for _, g := range i.Groups {
		b = appendString(b, g)
	}
	return appendString(b, i.Request)
}

func decodeItem(contact stanza.JID, value []byte) (roster.Item, error) {
	d := decode(value)
	flags := d.byte()
	i := roster.Item{
		Contact:      contact,
		Subscription: roster.Subscription(flags) & roster.Both,
		Ask:          flags&itemAsk != 0,
		Approved:     flags&itemApproved != 0,
		Listed:       flags&itemListed != 0,
		Version:      d.uint(),
		Name:         d.string(),
	}
	for range d.len() {
		i.Groups = append(i.Groups, d.string())
	}
	i.Request = d.string()
	return i, d.end()
}

// rosterHeader is what is stored of a roster as a whole.
type rosterHeader struct {
	roster.Version
	count uint64 // of items
}

func (h rosterHeader) encode() []byte {
	b := binary.AppendUvarint([]byte{format1}, h.Current)
	b = binary.AppendUvarint(b, h.Deleted)
	return binary.AppendUvarint(b, h.count)
}

func decodeRosterHeader(value []byte) (rosterHeader, error) {
	d := decode(value)
	h := rosterHeader{roster.Version{Current: d.uint(), Deleted: d.uint()}, d.uint()}
	return h, d.end()
}

// total is the header of the messages and of the private elements of an
// account: how many there are, and how many bytes of XML.
type total struct{ count, bytes uint64 }

func (t total) encode() []byte {
	return binary.AppendUvarint(binary.AppendUvarint([]byte{format1}, t.count), t.bytes)
}

func decodeTotal(value []byte) (total, error) {
	d := decode(value)
	t := total{count: d.uint(), bytes: d.uint()}
	return t, d.end()
}

// encodeText is the value of what is nothing but XML.
func encodeText(xml string) []byte {
	return append(append(make([]byte, 0, 1+len(xml)), format1), xml...)
}

// textSize is how many bytes of XML such a value has.
func textSize(value []byte) int { return max(len(value)-1, 0) }

func decodeText(value []byte) (string, error) {
	d := decode(value)
	if d.err != nil {
		return "", d.err
	}
	return string(d.rest), nil
}

func encodeActivity(a last.Activity) []byte {
	return append(binary.AppendVarint([]byte{format1}, a.At.Unix()), a.Status...)
}

func decodeActivity(value []byte) (last.Activity, error) {
	d := decode(value)
	a := last.Activity{At: time.Unix(d.int(), 0).UTC()}
	if d.err != nil {
		return last.Activity{}, d.err
	}
	a.Status = string(d.rest)
	return a, nil
}

func encodeBlockList(l blocking.List) []byte {
	b := binary.AppendUvarint([]byte{format1}, l.Revision)
	b = binary.AppendUvarint(b, uint64(len(l.Blocked)))
	for _, j := range l.Blocked {
		b = appendString(b, j.String())
	}
	return b
}

func decodeBlockList(value []byte) (blocking.List, error) {
	d := decode(value)
	l := blocking.List{Revision: d.uint()}
	for range d.len() {
		if j := d.jid(); d.err == nil {
			l.Blocked = append(l.Blocked, j)
		}
	}
	return l, d.end()
}
