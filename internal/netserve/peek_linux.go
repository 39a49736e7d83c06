package netserve

import "syscall"

const canPeek = true

// peek looks whether a read into b would return at once; again says that it
// would not.
func peek(fd uintptr, b []byte) (again bool, err error) {
	for {
		_, _, err := syscall.Recvfrom(int(fd), b, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return true, nil
		}
		return false, err
	}
}
