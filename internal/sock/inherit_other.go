//go:build !unix

package sock

import "errors"

func inherit(int) (Inherited, error) { return Inherited{}, errors.ErrUnsupported }
