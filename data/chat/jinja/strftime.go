package jinja

import (
	"fmt"
	"strings"
	"time"
)

// strftime writes a time by the codes of C's strftime.
func strftime(t time.Time, format string) (Value, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		if format[i] == '-' && i+1 < len(format) {
			i++
			s, err := strftimeCode(t, format[i])
			if err != nil {
				return nil, err
			}
			s = strings.TrimLeft(s, "0 ")
			if s == "" {
				s = "0"
			}
			b.WriteString(s)
			continue
		}
		s, err := strftimeCode(t, format[i])
		if err != nil {
			return nil, err
		}
		b.WriteString(s)
	}
	return Str(b.String()), nil
}

func strftimeCode(t time.Time, code byte) (string, error) {
	if layout, ok := map[byte]string{
		'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'h': "Jan", 'c': "Mon Jan _2 15:04:05 2006", 'd': "02", 'D': "01/02/06", 'e': "_2",
		'F': "2006-01-02", 'H': "15", 'I': "03", 'j': "002", 'm': "01", 'M': "04", 'p': "PM", 'S': "05", 'T': "15:04:05",
		'X': "15:04:05", 'x': "01/02/06", 'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST", 'R': "15:04",
	}[code]; ok {
		return t.Format(layout), nil
	}
	switch code {
	case '%':
		return "%", nil
	case 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000), nil
	case 's':
		return fmt.Sprint(t.Unix()), nil
	case 'w':
		return fmt.Sprint(int(t.Weekday())), nil
	case 'u':
		return fmt.Sprint((int(t.Weekday())+6)%7 + 1), nil
	case 'n':
		return "\n", nil
	case 't':
		return "\t", nil
	}
	return "", fmt.Errorf("strftime_now: the code %%%c is not supported", code)
}
