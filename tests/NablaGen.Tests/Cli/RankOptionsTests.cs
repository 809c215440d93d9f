using System.CommandLine;
using NablaGen.Cli.Commands;
using NablaGen.Distributed;

namespace NablaGen.Tests.Cli;

/// <summary>What <c>--gpus</c> takes, before anything is loaded.</summary>
public class RankOptionsTests
{
    [Theory]
    [InlineData("0", "auto", "expected a number of 1 or more, or all")]
    [InlineData("-2", "auto", "expected a number of 1 or more, or all")]
    [InlineData("two", "auto", "expected a number of 1 or more, or all")]
    [InlineData("2", "cuda:1", "CUDA_VISIBLE_DEVICES")]
    public void What_cannot_be_is_refused(string gpus, string device, string line) =>
        Assert.Contains(line, Assert.Throws<InvalidRequestException>(() => Read(gpus, device)).Message);

    [Fact]
    public void A_number_is_taken_and_one_is_nothing_new()
    {
        Assert.Equal(new RankChoice(4, null), Read("4", "cuda"));
        Assert.Equal(new RankChoice(null, null), Read("all", "auto"));
        Assert.Null(Read("1", "cuda"));
        Assert.Null(Read(null, "cuda:1"));
    }

    [Theory]
    [InlineData(null, 1, "1")]
    [InlineData("", 0, "0")]
    [InlineData("4,5,6", 2, "6")]
    [InlineData("GPU-a, GPU-b", 1, "GPU-b")]
    [InlineData("7", 3, "7")]
    public void Each_process_sees_its_own_device(string? visible, int localRank, string device) => Assert.Equal(device, RankLauncher.DeviceOf(visible, localRank));

    [Fact]
    public void More_processes_than_devices_are_refused() =>
        Assert.Contains("names 2 GPUs", Assert.Throws<NablaGenException>(() => RankLauncher.DeviceOf("0,1", 2)).Message);

    private static RankChoice? Read(string? gpus, string device)
    {
        var options = new RankOptions();
        var deviceOption = SharedOptions.Device();
        var command = new RootCommand { options.Gpus, deviceOption };
        return options.Read(command.Parse([.. gpus is null ? Array.Empty<string>() : [$"--gpus={gpus}"], "--device", device]), deviceOption);
    }
}
