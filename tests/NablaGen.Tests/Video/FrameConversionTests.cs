using NablaGen.Video;
using TorchSharp;

namespace NablaGen.Tests.Video;

public class FrameConversionTests
{
    [Theory]
    [InlineData(torch.ScalarType.Float32)]
    [InlineData(torch.ScalarType.Float64)]
    [InlineData(torch.ScalarType.BFloat16)]
    public void Frames_come_in_order_with_their_pixels_in_place(torch.ScalarType type)
    {
        using var scope = torch.NewDisposeScope();
        const int T = 3, H = 5, W = 7;
        // A permuted view, with values past the range.
        using var random = torch.rand([T, W, 3, H], torch.float64, torch.CPU).mul(2.5).sub(1.25).to(type);
        var frames = random.permute(2, 0, 3, 1);
        var before = frames.clone();
        var values = frames.to(torch.float32).contiguous().data<float>().ToArray();

        var t = 0;
        FrameConversion.ForEachFrame(frames, frame =>
        {
            Assert.Equal(H * W * 3, frame.Length);
            for (var i = 0; i < frame.Length; i++)
            {
                var (y, x, channel) = (i / 3 / W, i / 3 % W, i % 3);
                var value = values[((channel * T + t) * H + y) * W + x];
                Assert.Equal((byte)MathF.Round((Math.Clamp(value, -1f, 1f) + 1f) * 127.5f), frame[i]);
            }

            t++;
        });

        Assert.Equal(T, t);
        Assert.True(frames.equal(before).all().item<bool>());
    }

    [Fact]
    public void The_ends_and_the_middle_are_exact()
    {
        using var scope = torch.NewDisposeScope();
        using var frames = torch.tensor(new[] { -1f, 0.999f, 1f, -7f, float.PositiveInfinity, 0.001f }).reshape(3, 1, 2, 1);
        FrameConversion.ForEachFrame(frames, frame => Assert.Equal([0, 255, 255, 255, 0, 128], frame.ToArray()));
    }

    [Fact]
    public void Nothing_of_it_stays_in_memory()
    {
        using var frames = torch.zeros(3, 4, 8, 8);
        var before = torch.Tensor.TotalCount;
        FrameConversion.ForEachFrame(frames, _ => { });
        Assert.Equal(before, torch.Tensor.TotalCount);
    }

    [Fact]
    public void Another_shape_or_type_is_refused()
    {
        using var bytes = torch.zeros([3, 1, 2, 2], torch.uint8);
        using var flat = torch.zeros(3, 2, 2);
        Assert.Throws<ArgumentException>(() => FrameConversion.ForEachFrame(bytes, _ => { }));
        Assert.Throws<ArgumentException>(() => FrameConversion.ForEachFrame(flat, _ => { }));
    }
}
