using NablaGen.Generation;
using static TorchSharp.torch;

namespace NablaGen.Tests.Generation;

public class FrameCheckTests
{
    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void A_frame_that_is_not_numbers_is_named(float value)
    {
        using var scope = NewDisposeScope();
        var check = new FrameCheck("the VAE");
        check.See(rand([3, 1, 4, 6]));
        var frames = rand([3, 4, 4, 6]);
        frames[1, 2, 3, 5] = value;
        var error = Assert.Throws<NablaGenException>(() => check.See(frames));
        Assert.StartsWith("frame 3 contains NaN or infinity", error.Message);
    }

    [Theory]
    [InlineData(0.3f, 0)]
    [InlineData(0.3f, 0.003f)]
    [InlineData(40f, 20)]
    [InlineData(-1.2f, 0.1f)]
    public void A_video_of_flat_frames_is_refused(float colour, float noise)
    {
        using var scope = NewDisposeScope();
        var check = new FrameCheck("the VAE");
        check.See(colour + noise * rand([3, 1, 4, 6]));
        check.See(colour + noise * rand([3, 4, 4, 6]));
        Assert.Equal([0, 1, 2, 3, 4], check.Flat);
        Assert.Contains("all 5 frames are of a single colour", Assert.Throws<NablaGenException>(check.Complete).Message);
    }

    [Fact]
    public void A_flat_frame_among_others_is_named_only()
    {
        using var scope = NewDisposeScope();
        var check = new FrameCheck("the VAE");
        var frames = rand([3, 4, 4, 6]);
        frames.narrow(1, 1, 1).fill_(-1);
        check.See(frames);
        check.Complete();
        Assert.Equal([1], check.Flat);
        Assert.Equal(4, check.Count);
    }

    [Fact]
    public void A_faint_picture_is_not_flat()
    {
        using var scope = NewDisposeScope();
        var check = new FrameCheck("the VAE");
        var frame = full([3, 1, 4, 6], 0.5f);
        frame[2, 0, 0, 0] = 0.52f;
        check.See(frame);
        Assert.Empty(check.Flat);
    }
}
