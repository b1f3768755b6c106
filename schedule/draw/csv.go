package draw

import (
	"bufio"
	"io"
	"strconv"
)

// CSV writes a line "step,learning_rate" and one for each step, counted from 1,
// with all digits of its rate.
func (c Chart) CSV(w io.Writer) error {
	out := bufio.NewWriter(w)
	out.WriteString("step,learning_rate\n")
	for i, r := range c.Rates {
		line := strconv.AppendInt(nil, int64(i+1), 10)
		line = strconv.AppendFloat(append(line, ','), r, 'g', -1, 64)
		out.Write(append(line, '\n'))
	}
	return out.Flush() // which tells of the first error of all
}
