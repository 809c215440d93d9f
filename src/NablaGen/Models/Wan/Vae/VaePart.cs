namespace NablaGen.Models.Wan.Vae;

/// <summary>The memory of a part of the VAE, counted in elements.</summary>
/// <param name="Cache">Kept from one latent frame to the next.</param>
/// <param name="Peak">The most at once beside what is kept.</param>
/// <param name="Placed">Of what is kept, that of our own convolutions, which has a place in the cache's room.</param>
/// <param name="Largest">The largest frame among these.</param>
/// <param name="Spare">Places for as many of them as a chunk has, which are in the room too: in the peak where such frames are read, idle at others'.</param>
internal readonly record struct VaePart(long Cache, long Peak, long Placed = 0, long Largest = 0, long Spare = 0)
{
    // Past frames that a causal layer with a kernel of 3 keeps.
    private const long KeptFrames = 2;

    /// <summary>One after the other.</summary>
    public static VaePart operator +(VaePart left, VaePart right)
    {
        var (less, more) = left.Largest < right.Largest ? (left, right) : (right, left);
        var idle = less.Largest < more.Largest ? more.Spare : 0;
        var spare = idle > 0 ? more.Spare : Math.Max(less.Spare, more.Spare);
        return new(left.Cache + right.Cache, Math.Max(less.Peak + idle, more.Peak), left.Placed + right.Placed, more.Largest, spare);
    }

    /// <summary>The same while other elements are there.</summary>
    public VaePart Beside(long elements) => this with { Peak = Peak + elements };

    /// <summary>Residual blocks one after another.</summary>
    /// <param name="inputs">Channels of the first one's input.</param>
    /// <param name="outputs">Channels that come out of each.</param>
    /// <param name="count">How many.</param>
    /// <param name="pixels">Pixels of a frame.</param>
    /// <param name="frames">Frames of a chunk.</param>
    /// <param name="apart">Whether our own convolution is there.</param>
    public static VaePart Blocks(long inputs, long outputs, int count, long pixels, long frames, bool apart = false)
    {
        var all = default(VaePart);
        for (var i = 0; i < count; i++)
        {
            // The block's input lives to its end; a convolution has its padded input and its output beside it.
            // By themselves, the frames of a chunk are all that is there beside the cache, and the shortcut is added at once.
            var (x, y, one, two) = (inputs * frames, outputs * frames, IsOwn(apart, inputs, outputs), IsOwn(apart, outputs, outputs));
            var first = one ? x + frames * Written(outputs, one) : inputs * (frames + KeptFrames) + y;
            var second = (two ? 2 * y : y + outputs * (frames + KeptFrames)) + (inputs == outputs ? 0 : y);
            var kept = Keeping(inputs * pixels, frames, one) + Keeping(outputs * pixels, frames, two);
            all += kept with { Peak = pixels * (x + Math.Max(first, second)) };
            inputs = outputs;
        }

        return all;
    }

    /// <summary>An up-sampling: pixels of a frame before (<paramref name="covered"/>) and after (<paramref name="entry"/>). Its input is counted by the caller.</summary>
    public static VaePart Upsample(long dim, long covered, long entry, long frames, bool doubles, long outputs, bool apart)
    {
        var own = IsOwn(apart, dim, 2 * dim);
        var doubled = doubles ? 2 * dim * covered * frames : 0;
        var inTime = doubles ? InTime(dim * covered, frames, own) : 0;
        var outFrames = doubles ? 2 * frames : frames;
        var cropped = entry == 4 * covered ? 0 : outputs * (4 * covered + entry) * outFrames;
        var peak = Math.Max(inTime, Math.Max(doubled + InSpace(dim, covered, outFrames, outputs, apart), cropped));
        return (doubles ? Keeping(dim * covered, frames, own) : default) with { Peak = peak };
    }

    /// <summary>Twice the frames as they come and in their order, or as they come and what they came from. Its input is counted by the caller.</summary>
    public static long InTime(long input, long frames, bool own) =>
        2 * input * frames + (own ? 2 * input * frames : Math.Max(2 * input * frames, input * (frames + KeptFrames)));

    /// <summary>Twice the height and width; our own convolution needs no doubled frames. Its input is counted by the caller.</summary>
    public static long InSpace(long dim, long covered, long frames, long outputs, bool apart) =>
        (IsOwn(apart, dim, outputs) ? Written(outputs, true) : dim + outputs) * 4 * covered * frames;

    /// <summary>The last layers, the input included.</summary>
    public static VaePart Output(long dim, long colours, long pixels, long frames, bool apart)
    {
        var own = IsOwn(apart, dim, colours);
        return Keeping(dim * pixels, frames, own) with { Peak = pixels * (own ? frames * (2 * dim + Written(colours, own)) : dim * (2 * frames + KeptFrames)) };
    }

    /// <summary>Whether a convolution of so many channels is our own.</summary>
    public static bool IsOwn(bool apart, long inputs, long outputs) => apart && ConvolutionOp.Fits(inputs, outputs);

    // Channels that come out; our own convolution writes at least so many, of which some are copied.
    private static long Written(long outputs, bool own) => own && outputs < ConvolutionOp.LeastOutputs ? ConvolutionOp.LeastOutputs + outputs : outputs;

    /// <summary>What a layer keeps of its input.</summary>
    /// <param name="frame">A frame's elements.</param>
    /// <param name="frames">Frames of a chunk.</param>
    /// <param name="own">Whether it is our own convolution.</param>
    public static VaePart Keeping(long frame, long frames, bool own) =>
        own ? new(KeptFrames * frame, 0, KeptFrames * frame, frame, frames * frame) : new(KeptFrames * frame, 0);

    /// <summary>Elements that are there at once.</summary>
    public static VaePart Taking(long elements) => new(0, elements);
}
