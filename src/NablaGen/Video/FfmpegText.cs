using System.Text;

namespace NablaGen.Video;

/// <summary>How values are written for ffmpeg: paths on a command line, tags in an ffmetadata file, frame rates.</summary>
internal static class FfmpegText
{
    /// <summary>
    /// A path as the inside of a pair of double quotes on a command line (FFMpegCore adds the quotes and escapes nothing). With the
    /// prefix <c>file:</c> ffmpeg takes the rest as it is: no leading dash, colon or percent sign means anything.
    /// </summary>
    public static string QuotedFile(string fullPath)
    {
        var text = new StringBuilder("file:");
        var backslashes = 0;
        foreach (var c in fullPath)
        {
            // A run of backslashes counts as escapes only in front of a quote.
            text.Append('\\', c == '"' ? backslashes + 1 : 0).Append(c);
            backslashes = c == '\\' ? backslashes + 1 : 0;
        }

        return text.Append('\\', backslashes).ToString();
    }

    /// <summary>An ffmetadata file with these tags (https://ffmpeg.org/ffmpeg-formats.html#Metadata-2).</summary>
    public static string Metadata(IEnumerable<KeyValuePair<string, string>> tags)
    {
        var text = new StringBuilder(";FFMETADATA1\n");
        foreach (var (key, value) in tags)
        {
            text.Append(key).Append('=');
            foreach (var c in value)
            {
                // A carriage return ends a line as well. A NUL would end the text: neither ffmetadata nor MP4 can hold one.
                _ = c is '=' or ';' or '#' or '\\' or '\n' or '\r' ? text.Append('\\').Append(c) : text.Append(c == '\0' ? '\ufffd' : c);
            }

            // FFmpeg 5 and later take a newline after any backslash, even an escaped one, for a part of the value. A NUL, which ends the
            // value for good, keeps the two apart.
            text.Append(value.EndsWith('\\') ? "\0\n" : "\n");
        }

        return text.ToString();
    }

    /// <summary>A frame rate as a fraction: 16 → 16/1, 29.97002997 → 30000/1001, 12.5 → 12500/1000.</summary>
    public static string Rate(double fps)
    {
        foreach (var denominator in (int[])[1, 1001])
        {
            var numerator = Math.Round(fps * denominator);
            if (Math.Abs(numerator / denominator - fps) <= 1e-8 * fps)
            {
                return $"{numerator}/{denominator}";
            }
        }

        return $"{Math.Round(fps * 1000)}/1000";
    }
}
