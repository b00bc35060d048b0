//! Generates the wire types from the `.proto` in pure Rust: no protoc on the machine.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let descriptors = protox::compile(["baton/agent/v1/agent.proto"], ["."])?;
    tonic_prost_build::configure().codec_path("crate::codec::SmallCodec").compile_fds(descriptors)?;
    println!("cargo::rerun-if-changed=baton/agent/v1/agent.proto");
    Ok(())
}
