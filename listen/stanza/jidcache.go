package stanza

// JIDCache remembers the addresses that one session has parsed last, because
// the same few come again and again. It holds at most 64 addresses of at most 256
// bytes. The zero JIDCache is empty and ready; a nil one remembers nothing. It is
// not safe for concurrent use.
type JIDCache struct {
	jids map[string]JID
}

const (
	maxCachedJIDs = 64
	maxCachedJID  = 256 // bytes
)

// Parse does what ParseJID does. It keeps nothing of b, and does not allocate if
// it knows the address.
func (c *JIDCache) Parse(b []byte) (JID, error) {
	if c == nil {
		return ParseJID(string(b))
	}
	if j, ok := c.jids[string(b)]; ok {
		return j, nil
	}
	text := string(b)
	j, err := ParseJID(text)
	if err != nil || len(text) > maxCachedJID {
		return j, err
	}
	if c.jids == nil {
		c.jids = make(map[string]JID)
	}
	if len(c.jids) >= maxCachedJIDs {
		for old := range c.jids { // any one: the order of a map is random
			delete(c.jids, old)
			break
		}
	}
	c.jids[text] = j
	return j, nil
}
